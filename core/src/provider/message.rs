//! HTTP as data: the call an adapter wants made and the reply it is given to read.
//!
//! Nothing here sends. `Debug` hides bodies and header values, which can carry signatures and payer data.

/// The method of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// GET
    Get,
    /// POST
    Post,
}

/// One request to be sent exactly as written: the signature covers these bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpCall {
    /// GET or POST.
    pub method: Method,
    /// The absolute URL; path and query are sent byte for byte.
    pub url: String,
    /// The same call at the provider's backup host. Used only after a refused connection (nothing was sent).
    pub backup_url: Option<String>,
    /// Header names (lower case) and values.
    pub headers: Vec<(String, String)>,
    /// The raw body; empty for none.
    pub body: Vec<u8>,
}

impl std::fmt::Debug for HttpCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let host_and_path = self.url.split('?').next().unwrap_or_default();
        write!(f, "HttpCall({:?} {host_and_path}, {} bytes)", self.method, self.body.len())
    }
}

/// One reply, whole.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpReply {
    /// The HTTP status.
    pub status: u16,
    /// Header names (lower case) and values as received.
    pub headers: Vec<(String, String)>,
    /// The raw body.
    pub body: Vec<u8>,
}

impl HttpReply {
    /// A reply with a content type and a body.
    #[must_use]
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: vec![("content-type".into(), content_type.into())], body: body.into() }
    }

    /// The first header of that (lower-case) name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }
}

impl std::fmt::Debug for HttpReply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HttpReply({}, {} bytes)", self.status, self.body.len())
    }
}

/// Either one more call to make, or the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next<T> {
    /// Make this call and read its reply.
    Call(HttpCall),
    /// The answer.
    Done(T),
}

/// A number used once: 32 of `[A-Za-z0-9]`, drawn by the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nonce(pub String);

pub(super) fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}
