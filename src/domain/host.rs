//! Hosts by their names and addresses: which are this machine, and which are nobody's but the machine's own.

use core::net::{IpAddr, Ipv4Addr};

/// The host of `HOST`, `HOST:PORT` or `[ADDRESS]:PORT`, without the port.
#[must_use]
pub fn without_port(authority: &str) -> &str {
    authority.rsplit_once(':').filter(|(_, port)| !port.contains(']')).map_or(authority, |(host, _)| host)
}

/// What is wrong with the port of `HOST:PORT`, if there is one: servers take what is no port for no address.
#[must_use]
pub fn port_fault(authority: &str) -> Option<String> {
    let port = authority.strip_prefix(without_port(authority)).and_then(|port| port.strip_prefix(':'))?;
    let rule = "a port is a number from 1 to 65535";
    match port.parse::<u16>() {
        Ok(1..) if port.bytes().all(|byte| byte.is_ascii_digit()) => None,
        _ if port.is_empty() => Some(format!("the port behind its colon is missing; {rule}")),
        _ => Some(format!("its port is {port:?}; {rule}")),
    }
}

/// `HOST:PORT` of a URL.
#[must_use]
pub fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    authority.rsplit('@').next().unwrap_or(authority)
}

/// The URL without user and password, fit to be printed; also of a password that is not written as URLs demand it, so
/// that nobody can tell where it ends.
#[must_use]
pub fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let first = rest.split('/').next().unwrap_or(rest);
    let is_torn = || rest.contains('@') && first.split_once(':').is_some_and(|_| port_fault(first).is_some());
    let host = match first.rfind('@') {
        Some(at) => &rest[at + 1..],
        None if is_torn() => rest.rsplit('@').next().unwrap_or(rest),
        None => rest,
    };
    format!("{scheme}://{host}")
}

/// Whether a URL is one that ssh is spoken to: `ssh://HOST/PATH`, or `USER@HOST:PATH` as scp writes it.
#[must_use]
pub fn is_ssh(url: &str) -> bool {
    match url.split_once("://") {
        Some((scheme, _)) => matches!(scheme, "ssh" | "git+ssh" | "ssh+git"),
        None => !url.contains("::") && url.split('/').next().is_some_and(|first| first.contains(':')),
    }
}

/// Whether a host is this machine, where nobody listens on the way: `localhost`, `127.0.0.0/8`, `::1`.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || address(host).is_some_and(|address| address.is_loopback())
}

/// Whether a host is a link-local address, where clouds tell a machine its secrets.
#[must_use]
pub fn is_link_local(host: &str) -> bool {
    match address(host) {
        Some(IpAddr::V4(address)) => address.is_link_local(),
        Some(IpAddr::V6(address)) => {
            address.is_unicast_link_local() || address.to_ipv4_mapped().is_some_and(|address| address.is_link_local())
        }
        None => false,
    }
}

/// Whether a host is an address that nothing public is at: of this machine, of a private network or of a machine's
/// metadata.
#[must_use]
pub fn is_private(host: &str) -> bool {
    let own = |v4: Ipv4Addr| v4.is_private() || v4.is_unspecified();
    is_loopback(host)
        || is_link_local(host)
        || match address(host) {
            Some(IpAddr::V4(v4)) => own(v4),
            Some(IpAddr::V6(v6)) => v6.is_unspecified() || v6.is_unique_local() || v6.to_ipv4_mapped().is_some(),
            None => false,
        }
}

/// The address that a host is, with or without the brackets of URLs.
fn address(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_parsed_and_not_guessed() {
        for (host, loopback, link_local, private) in [
            ("localhost", true, false, true),
            ("LocalHost", true, false, true),
            ("127.0.0.1", true, false, true),
            ("127.255.0.9", true, false, true),
            ("::1", true, false, true),
            ("[::1]", true, false, true),
            ("127.example.com", false, false, false),
            ("127.0.0.1.example.com", false, false, false),
            ("localhost.example.com", false, false, false),
            ("127.1", false, false, false),
            ("169.254.169.254", false, true, true),
            ("[fe80::1]", false, true, true),
            ("::ffff:169.254.169.254", false, true, true),
            ("::ffff:8.8.8.8", false, false, true),
            ("10.0.0.1", false, false, true),
            ("0.0.0.0", false, false, true),
            ("[fd00::1]", false, false, true),
            ("8.8.8.8", false, false, false),
            ("", false, false, false),
        ] {
            assert_eq!(
                (is_loopback(host), is_link_local(host), is_private(host)),
                (loopback, link_local, private),
                "{host}"
            );
        }
    }

    #[test]
    fn a_port_is_a_number() {
        for (url, told) in [
            ("https://a.example:443/r", None),
            ("https://a.example/r:1", None),
            ("https://u:p@[::1]:5000/r", None),
            ("https://[::1]/r", None),
            ("https://a.example:70000/r", Some("its port is \"70000\"; a port is a number from 1 to 65535")),
            ("https://a.example:0", Some("its port is \"0\"; a port is a number from 1 to 65535")),
            ("https://[::1]:+1/r", Some("its port is \"+1\"; a port is a number from 1 to 65535")),
            ("https://a.example:/r", Some("the port behind its colon is missing; a port is a number from 1 to 65535")),
        ] {
            assert_eq!(port_fault(authority(url)).as_deref(), told, "{url}");
        }
    }

    #[test]
    fn no_password_is_printed() {
        for (url, shown) in [
            ("https://u:secret@host/x", "https://host/x"),
            ("https://u:se@cret@host/x", "https://host/x"),
            ("https://u:se/cret@host/x", "https://host/x"),
            ("https://u:1/cret@host/x@v1", "https://u:1/cret@host/x@v1"),
            ("https://host:5000/x@v1", "https://host:5000/x@v1"),
            ("https://host:abc/x", "https://host:abc/x"),
            ("path/to@x", "path/to@x"),
        ] {
            assert_eq!(without_credentials(url), shown, "{url}");
        }
    }

    #[test]
    fn a_port_is_no_part_of_a_host() {
        for (authority, host) in
            [("a.example", "a.example"), ("a.example:5000", "a.example"), ("[::1]", "[::1]"), ("[::1]:5000", "[::1]")]
        {
            assert_eq!(without_port(authority), host);
        }
    }
}
