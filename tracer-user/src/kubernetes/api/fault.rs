//! What a request can end in but its answer.

use super::access::said;

/// At most so much of a text of the server is told.
const MAX_TEXT: usize = 300;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// No answer: why.
    Silent(String),
    /// An answer that it can't now (429, 5xx).
    Busy(String),
    /// 401
    Credentials(String),
    /// 403
    Forbidden(String),
    /// 404: the server does not have the kind.
    Absent,
    /// 410: what is asked for is too old.
    Gone,
    /// An answer that makes no sense: which.
    Nonsense(String),
    /// A kubeconfig that can't be used: the whole sentence.
    Access(String),
}

impl Fault {
    /// Of an error's status, with the server's own words.
    pub(super) fn of_status(code: u16, message: &str) -> Self {
        let message = short(message);
        match code {
            401 => Self::Credentials(message),
            403 => Self::Forbidden(message),
            404 => Self::Absent,
            410 => Self::Gone,
            429 | 500.. => Self::Busy(format!("{code} {message}")),
            _ => Self::Nonsense(format!("{code} {message}")),
        }
    }

    pub(super) fn of(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::of_status(status.code, &status.message),
            other => Self::Silent(cause(&said(other))),
        }
    }
}

/// The end of a chain of errors is what has happened; the beginning says only that a request failed.
fn cause(text: &str) -> String {
    const KNOWN: [(&str, &str); 4] = [
        ("Connection refused", "connection refused"),
        ("No route to host", "no route to host"),
        ("Network is unreachable", "network is unreachable"),
        ("deadline has elapsed", "no connection in time"),
    ];
    if let Some((_, known)) = KNOWN.iter().find(|(mark, _)| text.contains(mark)) {
        return (*known).to_owned();
    }
    let at = text.find("invalid peer certificate").unwrap_or_default();
    short(text.get(at..).unwrap_or(text))
}

/// One line of bounded length.
pub(super) fn short(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_says_is_one_short_line() {
        assert_eq!(Fault::of_status(403, "pods is\nforbidden"), Fault::Forbidden("pods is forbidden".to_owned()));
        assert_eq!(Fault::of_status(503, ""), Fault::Busy("503 ".to_owned()));
        assert!(short(&"ä".repeat(10_000)).chars().count() == MAX_TEXT + 1);
    }

    #[test]
    fn the_cause_is_told_not_the_layers_around_it() {
        assert_eq!(
            cause("client error (Connect): tcp connect error: Connection refused (os error 111)"),
            "connection refused"
        );
        let tls = "client error (Connect): invalid peer certificate: UnknownIssuer";
        assert_eq!(cause(tls), "invalid peer certificate: UnknownIssuer");
    }
}
