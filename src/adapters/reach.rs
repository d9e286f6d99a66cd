//! Why a server gave no answer, and what to do about it.

use std::error::Error;
use std::io::{self, ErrorKind};

/// What went wrong on the way to a server with what to do, in the words of whoever failed; `None` when it was something
/// else.
pub(super) fn unanswered(error: &(dyn Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(this) = next {
        if let Some(told) =
            this.downcast_ref().and_then(of_the_system).or_else(|| of_tls(this)).or_else(|| of_names(this))
        {
            return Some(told);
        }
        // The source of such an error is the inner one's source, not the inner one.
        let inner = this.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = inner.map(|inner| inner as &(dyn Error + 'static)).or_else(|| this.source());
    }
    None
}

fn of_the_system(error: &io::Error) -> Option<String> {
    let todo = match error.kind() {
        ErrorKind::ConnectionRefused => "does the server run, and is the port right?",
        ErrorKind::TimedOut => "is the address right, and does a firewall or a proxy stand in between?",
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
            "is this machine on the network, and the address right?"
        }
        _ => return None,
    };
    Some(format!("{error}; {todo}"))
}

fn of_tls(error: &(dyn Error + 'static)) -> Option<String> {
    let todo = match error.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(_) => {
            "this machine has to know who signed it: SSL_CERT_FILE names a file of the authorities to trust"
        }
        _ => "does the server speak https on this port?",
    };
    Some(format!("{error}; {todo}"))
}

/// What looks names up has no type of its own to be asked for.
fn of_names(error: &(dyn Error + 'static)) -> Option<String> {
    let why = error.source().filter(|_| error.to_string() == "dns error")?;
    Some(format!("{}; is the host's name right, and does this machine know it?", last(why)))
}

fn last<'e>(error: &'e (dyn Error + 'static)) -> &'e (dyn Error + 'static) {
    let mut error = error;
    while let Some(inner) = error.source() {
        error = inner;
    }
    error
}
