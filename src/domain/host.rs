//! Hosts by their names and addresses: which are this machine, and which are nobody's but the machine's own.

use core::net::{IpAddr, Ipv4Addr};

/// The host of `HOST`, `HOST:PORT` or `[ADDRESS]:PORT`, without the port.
#[must_use]
pub fn without_port(authority: &str) -> &str {
    authority.rsplit_once(':').filter(|(_, port)| !port.contains(']')).map_or(authority, |(host, _)| host)
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
    fn a_port_is_no_part_of_a_host() {
        for (authority, host) in
            [("a.example", "a.example"), ("a.example:5000", "a.example"), ("[::1]", "[::1]"), ("[::1]:5000", "[::1]")]
        {
            assert_eq!(without_port(authority), host);
        }
    }
}
