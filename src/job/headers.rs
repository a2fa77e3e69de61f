//! What a job carries beside its payload.

use crate::error::Error;
use crate::name;

/// All headers of a job together, in bytes: they travel with every claim.
const BYTES_MAX: usize = 1024;

/// How many bytes are left for further headers.
pub(crate) fn room(headers: &[(String, String)]) -> usize {
    BYTES_MAX.saturating_sub(bytes_of(headers))
}

/// A key that is set twice keeps the later value.
pub(crate) fn set(headers: &mut Vec<(String, String)>, key: String, value: String) {
    headers.retain(|(known, _)| *known != key);
    headers.push((key, value));
}

fn bytes_of(headers: &[(String, String)]) -> usize {
    headers.iter().map(|(k, v)| k.len() + v.len()).sum()
}

pub(crate) fn check(headers: &[(String, String)]) -> Result<(), Error> {
    for (key, _) in headers {
        name::check("header name", key)?;
    }
    let bytes = bytes_of(headers);
    if bytes > BYTES_MAX {
        return Err(Error::invalid(format!(
            "the headers have {bytes} bytes together; {BYTES_MAX} are allowed"
        )));
    }
    Ok(())
}
