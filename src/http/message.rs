//! The bytes of one whole head come in, its start line and fields go out, parsed once. Knows nothing of what they mean.

use httparse::{EMPTY_HEADER, Error, Header, ParserConfig, Status};

use super::{Field, Part, Version, lines};

/// A head, borrowed from its bytes.
pub(super) struct Raw<'a> {
    pub(super) version: Version,
    /// Of a request.
    pub(super) method: &'a [u8],
    /// Of a request.
    pub(super) target: &'a [u8],
    /// Of a response.
    pub(super) status: u16,
    pub(super) fields: &'a [Field<'a>],
}

/// Parses a head and calls `then` with it; `None` where it is no head, or has more than `most` lines.
pub(super) fn parse<R>(part: Part, head: &[u8], most: usize, mut then: impl FnMut(&Raw<'_>) -> R) -> Option<R> {
    match attempt::<USUAL, R>(part, head, most, &mut then) {
        Ok(result) => Some(result),
        Err(Error::TooManyHeaders) => attempt::<MOST, R>(part, head, most, &mut then).ok(),
        Err(_) => attempt::<MOST, R>(part, &lines::mend(head), most, &mut then).ok(),
    }
}

fn attempt<const N: usize, R>(part: Part, head: &[u8], most: usize, then: &mut impl FnMut(&Raw<'_>) -> R) -> Result<R, Error> {
    let mut headers = [EMPTY_HEADER; N];
    let room = headers.get_mut(..most.min(N)).ok_or(Error::TooManyHeaders)?;
    match part {
        Part::Request => {
            let mut request = httparse::Request::new(room);
            let (Status::Complete(_), Some(version), Some(method), Some(target)) =
                (config().parse_request(&mut request, head)?, request.version, request.method, request.path)
            else {
                return Err(Error::Token);
            };
            let (method, target) = (method.as_bytes(), target.as_bytes());
            Ok(with_fields::<N, R>(request.headers, |fields| then(&Raw { version: named(version), method, target, status: 0, fields })))
        }
        Part::Response => {
            let mut response = httparse::Response::new(room);
            let (Status::Complete(_), Some(version), Some(status)) =
                (config().parse_response(&mut response, head)?, response.version, response.code)
            else {
                return Err(Error::Token);
            };
            Ok(with_fields::<N, R>(response.headers, |fields| {
                then(&Raw { version: named(version), method: b"", target: b"", status, fields })
            }))
        }
    }
}

fn with_fields<const N: usize, R>(headers: &[Header<'_>], mut then: impl FnMut(&[Field<'_>]) -> R) -> R {
    let mut fields = [Field { name: None, value: None }; N];
    let mut count = 0;
    for (field, header) in fields.iter_mut().zip(headers) {
        *field = Field { name: Some(header.name.as_bytes()), value: Some(header.value) };
        count += 1;
    }
    then(fields.get(..count).unwrap_or_default())
}

fn config() -> ParserConfig {
    let mut config = ParserConfig::default();
    config.allow_multiple_spaces_in_response_status_delimiters(true);
    config
}

fn named(version: u8) -> Version {
    if version == 0 { Version::Http10 } else { Version::Http11 }
}

/// Nearly every head has fewer lines: a small array is cheaper to make.
const USUAL: usize = 32;
/// None may have more.
const MOST: usize = 256;
