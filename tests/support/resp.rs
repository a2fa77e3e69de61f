//! Where one message of the Redis protocol ends: just enough of RESP2 and RESP3 to count them.

/// The length of the first whole message in `bytes`; `None` if more must be read.
pub fn message(bytes: &[u8]) -> Option<usize> {
    end_of_message(bytes, 0)
}

/// Whether a reply was sent on the server's own account, and answers no request.
pub fn is_push(reply: &[u8]) -> bool {
    reply.first() == Some(&b'>')
}

/// Whether a reply says that the script is not known, so that nothing was run.
pub fn is_noscript(reply: &[u8]) -> bool {
    reply.starts_with(b"-NOSCRIPT")
}

/// The command name of a request, in upper case.
pub fn command(request: &[u8]) -> Vec<u8> {
    let name = match request.first() {
        Some(b'*') => request.split(|byte| *byte == b'\n').nth(2),
        _ => request.split(u8::is_ascii_whitespace).next(),
    };
    name.unwrap_or_default().trim_ascii().to_ascii_uppercase()
}

fn end_of_message(bytes: &[u8], start: usize) -> Option<usize> {
    let kind = *bytes.get(start)?;
    let line_end = end_of_line(bytes, start)?;
    let size = || length(&bytes[start + 1..line_end]);
    match kind {
        b'$' | b'=' | b'!' => match size() {
            None => Some(line_end),
            Some(size) => {
                let end = line_end + size + 2;
                (bytes.len() >= end).then_some(end)
            }
        },
        b'*' | b'~' | b'>' => skip(bytes, line_end, size().unwrap_or(0)),
        b'%' => skip(bytes, line_end, 2 * size().unwrap_or(0)),
        // Attributes come before the value that they describe.
        b'|' => skip(bytes, line_end, 2 * size().unwrap_or(0) + 1),
        _ => Some(line_end),
    }
}

fn skip(bytes: &[u8], start: usize, messages: usize) -> Option<usize> {
    (0..messages).try_fold(start, |at, _| end_of_message(bytes, at))
}

fn end_of_line(bytes: &[u8], start: usize) -> Option<usize> {
    let length = bytes[start..].iter().position(|byte| *byte == b'\n')?;
    Some(start + length + 1)
}

/// `None` is the length −1, a null.
fn length(digits: &[u8]) -> Option<usize> {
    str::from_utf8(digits.trim_ascii()).ok()?.parse().ok()
}
