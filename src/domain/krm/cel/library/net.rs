//! IP addresses and networks.

use core::net::IpAddr;

use super::{Given, traversal};
use crate::domain::krm::cel::eval::{Budget, Fail};
use crate::domain::krm::cel::value::Val;

fn address(text: &str) -> Result<IpAddr, Fail> {
    if text.contains('%') && text.split('%').next().is_some_and(|ip| ip.parse::<IpAddr>().is_ok()) {
        return Err(Fail::error(format!("IP address {text:?} with zone value is not allowed")));
    }
    let refuse =
        |_| Fail::error(format!("IP Address {text:?} parse error during conversion from string: {}", reason(text)));
    let address: IpAddr = text.parse().map_err(refuse)?;
    match address {
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => {
            Err(Fail::error(format!("IPv4-mapped IPv6 address {text:?} is not allowed")))
        }
        _ => Ok(address),
    }
}

/// Why Go's `netip.ParseAddr` refuses an address, in its commonest words.
fn reason(text: &str) -> String {
    let is_v4 = text.find(['.', ':']).is_some_and(|at| text.get(at..).is_some_and(|rest| rest.starts_with('.')));
    let why = if is_v4 { reason_v4(text) } else { "unable to parse IP".to_owned() };
    format!("ParseAddr({text:?}): {why}")
}

fn reason_v4(text: &str) -> String {
    let letter = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    if let Some(rest) = letter.and_then(|at| text.get(at..)) {
        return format!("unexpected character (at {rest:?})");
    }
    let fields: Vec<&str> = text.split('.').collect();
    let leads = |field: &&&str| field.len() > 1 && field.starts_with('0');
    let value = |field: &&&str| field.parse::<u32>().map_or(!field.is_empty(), |value| value > 255);
    match fields.len() {
        _ if fields.iter().any(|field| leads(&field)) => "IPv4 field has octet with leading zero".to_owned(),
        _ if fields.iter().any(|field| value(&field)) => "IPv4 field has value >255".to_owned(),
        ..4 => "IPv4 address too short".to_owned(),
        4 => "IPv4 field must have at least one digit".to_owned(),
        _ => "IPv4 address too long".to_owned(),
    }
}

fn network(text: &str) -> Result<(IpAddr, u8), Fail> {
    let refuse = |why: &str| {
        let prefix = "network address parse error during conversion from string: ";
        Fail::error(format!("{prefix}{prefix}netip.ParsePrefix({text:?}): {why}"))
    };
    let (ip, bits) = text.rsplit_once('/').ok_or_else(|| refuse("no '/'"))?;
    let ip: IpAddr = ip.parse().map_err(|_| refuse(&reason(ip)))?;
    let plain = bits == "0" || (!bits.starts_with('0') && bits.bytes().all(|byte| byte.is_ascii_digit()));
    let bits: u8 =
        bits.parse().ok().filter(|_| plain).ok_or_else(|| refuse(&format!("bad bits after slash: {bits:?}")))?;
    if bits > width(ip) {
        return Err(refuse("prefix length out of range"));
    }
    match ip {
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => {
            let why = format!("IPv4-mapped IPv6 address {text:?} is not allowed");
            Err(Fail::error(format!("network address parse error during conversion from string: {why}")))
        }
        _ => Ok((ip, bits)),
    }
}

const fn width(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

/// The address without the bits after the prefix.
fn masked(ip: IpAddr, bits: u8) -> IpAddr {
    match ip {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(u32::from(32 - bits.min(32))).unwrap_or(0);
            IpAddr::V4((v4.to_bits() & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(u32::from(128 - bits.min(128))).unwrap_or(0);
            IpAddr::V6((v6.to_bits() & mask).into())
        }
    }
}

fn contains((net, bits): (IpAddr, u8), ip: IpAddr) -> bool {
    net.is_ipv4() == ip.is_ipv4() && masked(net, bits) == masked(ip, bits)
}

pub(super) fn call<'a>(name: &str, method: bool, args: &[Val<'a>], budget: &Budget) -> Given<'a> {
    let charge = |text: &str, factor: u64| budget.charge(traversal(text.len() as u64 * factor));
    Ok(Some(match (name, args) {
        ("ip", [Val::Text(text)]) if !method => {
            charge(text, 1)?;
            Val::Ip(address(text)?)
        }
        ("isIP", [Val::Text(text)]) => {
            charge(text, 1)?;
            Val::Bool(address(text).is_ok())
        }
        ("ip.isCanonical", [Val::Text(text)]) => {
            charge(text, 2)?;
            Val::Bool(address(text)?.to_string() == **text)
        }
        ("cidr", [Val::Text(text)]) => {
            charge(text, 1)?;
            let (ip, bits) = network(text)?;
            Val::Cidr(ip, bits)
        }
        ("isCIDR", [Val::Text(text)]) => {
            charge(text, 1)?;
            Val::Bool(network(text).is_ok())
        }
        (_, [Val::Ip(ip)]) => return Ok(of_address(name, *ip)),
        (_, [Val::Cidr(ip, bits), rest @ ..]) => return of_network(name, *ip, *bits, rest, budget),
        _ => return Ok(None),
    }))
}

fn of_address<'a>(name: &str, ip: IpAddr) -> Option<Val<'a>> {
    let (multicast, unicast) = match ip {
        IpAddr::V4(ip) => (ip.octets().starts_with(&[224, 0, 0]), ip.is_link_local()),
        IpAddr::V6(ip) => (ip.segments()[0] & 0xff0f == 0xff02, ip.segments()[0] & 0xffc0 == 0xfe80),
    };
    let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    Some(match name {
        "string" => Val::text(ip.to_string()),
        "family" => Val::Int(if ip.is_ipv4() { 4 } else { 6 }),
        "isUnspecified" => Val::Bool(ip.is_unspecified()),
        "isLoopback" => Val::Bool(ip.is_loopback()),
        "isLinkLocalMulticast" => Val::Bool(multicast),
        "isLinkLocalUnicast" => Val::Bool(unicast),
        "isGlobalUnicast" => {
            let special = ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || unicast || broadcast;
            Val::Bool(!special)
        }
        _ => return None,
    })
}

fn of_network<'a>(name: &str, ip: IpAddr, bits: u8, rest: &[Val<'a>], budget: &Budget) -> Given<'a> {
    let cost = traversal(Val::Cidr(ip, bits).size() * 2);
    Ok(Some(match (name, rest) {
        ("string", []) => Val::text(format!("{ip}/{bits}")),
        ("ip", []) => Val::Ip(ip),
        ("prefixLength", []) => Val::Int(i64::from(bits)),
        ("masked", []) => Val::Cidr(masked(ip, bits), bits),
        ("containsIP", [other]) => {
            budget.charge(cost + if matches!(other, Val::Text(_)) { traversal(other.size()) } else { 0 })?;
            let other = match other {
                Val::Ip(other) => *other,
                Val::Text(text) => address(text)?,
                _ => return Ok(None),
            };
            Val::Bool(contains((ip, bits), other))
        }
        ("containsCIDR", [other]) => {
            budget.charge(cost + 2 + if matches!(other, Val::Text(_)) { traversal(other.size()) } else { 0 })?;
            let (other, others) = match other {
                Val::Cidr(other, others) => (*other, *others),
                Val::Text(text) => network(text)?,
                _ => return Ok(None),
            };
            Val::Bool(bits <= others && contains((ip, bits), other))
        }
        _ => return Ok(None),
    }))
}
