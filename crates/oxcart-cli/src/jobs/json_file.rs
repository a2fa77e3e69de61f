//! Files and pipes of JSON: what is written is an object in each line; what is read is that, or one array of objects.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::ops::Range;
use std::time::Duration;

use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use tokio::sync::mpsc;

use crate::session::Session;
use crate::term::confirm::confirm;
use crate::term::interrupt::Interrupt;
use crate::term::progress::Progress;
use crate::text::place::pointed_json;
use crate::trouble::{Exit, Trouble};

/// So many are taken in a step, or fewer if they are large.
const STEP: usize = 256;
const STEP_BYTES: usize = 2 * 1024 * 1024;
/// What was read from a pipe waits no longer for the rest of its step.
const IDLE: Duration = Duration::from_millis(200);
/// Lines that are read ahead.
const AHEAD: usize = 64;
/// An array is in memory as a whole.
const ARRAY_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Where objects are written to.
pub(crate) struct Output {
    /// Otherwise stdout.
    file: Option<BufWriter<File>>,
    name: String,
}

impl Output {
    /// `-` is stdout. Asks before it replaces a file.
    pub(crate) async fn open(session: &Session, name: &str) -> Result<Self, Trouble> {
        let file = match name {
            "-" => None,
            name => {
                if std::fs::exists(name).unwrap_or(false) {
                    confirm(session, &format!("Replace the file {name}")).await?;
                }
                let file = File::create(name)
                    .map_err(|error| Trouble::usage(format!("cannot write {name}: {error}")))?;
                Some(BufWriter::new(file))
            }
        };
        let name = name.to_owned();
        Ok(Self { file, name })
    }

    pub(crate) fn write(
        &mut self,
        session: &mut Session,
        object: &impl Serialize,
    ) -> Result<(), Trouble> {
        let Some(file) = &mut self.file else {
            return session.out.json(object);
        };
        let line = serde_json::to_string(object);
        let line = line.map_err(|error| Trouble::error(error.to_string()))?;
        writeln!(file, "{line}").map_err(|error| self.cannot_write(&error))
    }

    /// Says whether it is a file.
    pub(crate) fn finish(mut self, session: &mut Session) -> Result<bool, Trouble> {
        match &mut self.file {
            Some(file) => {
                let flushed = file.flush();
                flushed.map_err(|error| self.cannot_write(&error))?;
                Ok(true)
            }
            None => session.out.flush().map(|()| false),
        }
    }

    fn cannot_write(&self, error: &io::Error) -> Trouble {
        Trouble::error(format!("cannot write {}: {error}", self.name))
    }
}

/// One value, and the line in which it begins.
#[derive(Clone)]
pub(crate) struct Entry<T> {
    pub(crate) line: u64,
    pub(crate) value: T,
}

/// What became of values that were read.
#[derive(Clone, Copy, Default)]
pub(crate) struct Taken {
    /// How many are there now that were not there before.
    pub(crate) new: u64,
    /// How many were there already, and were left alone.
    pub(crate) there: u64,
}

impl Taken {
    pub(crate) fn all(self) -> u64 {
        self.new + self.there
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.new += other.new;
        self.there += other.there;
    }
}

/// A step that failed, and what it had done by then.
pub(crate) struct Failed {
    pub(crate) before: Taken,
    pub(crate) trouble: Trouble,
}

impl<T: Into<Trouble>> From<T> for Failed {
    fn from(trouble: T) -> Self {
        Self {
            before: Taken::default(),
            trouble: trouble.into(),
        }
    }
}

/// How it is told.
pub(crate) struct Words {
    /// One of the values: `dead letter`.
    pub(crate) value: &'static str,
    /// What is done to them: `import`, and `imported`.
    pub(crate) action: &'static str,
    pub(crate) past: &'static str,
    /// So many of them.
    pub(crate) number: fn(u64) -> String,
}

/// What comes next.
enum Next {
    Text(Option<Result<Text, Trouble>>),
    Idle,
    Interrupted,
}

/// Reads all values of a file, or with `-` of stdin, and gives them to `take`, step by step, in their order. What stands before a value that
/// cannot be read is taken as well.
pub(crate) async fn take_all<T: DeserializeOwned>(
    name: &str,
    words: &Words,
    mut take: impl AsyncFnMut(Vec<Entry<T>>) -> Result<Taken, Failed>,
) -> Result<Taken, Trouble> {
    let mut texts = open(name)?;
    let interrupt = Interrupt::listen();
    let mut progress = Progress::new(words.action, 0);
    let mut sum = Taken::default();
    let (mut entries, mut bytes) = (Vec::new(), 0);
    loop {
        let next = tokio::select! {
            biased;
            () = interrupt.pressed() => Next::Interrupted,
            text = texts.recv() => Next::Text(text),
            () = tokio::time::sleep(IDLE), if !entries.is_empty() => Next::Idle,
        };
        // With it, it is over after this step.
        let mut end = None;
        match next {
            Next::Interrupted => {
                drop(progress);
                let (done, past) = ((words.number)(sum.all()), words.past);
                let message = format!("interrupted: {done} {past}; the same command goes on");
                return Err(Trouble::new(Exit::Interrupted, message));
            }
            Next::Text(Some(text)) => {
                match text.and_then(|text| Ok((text.text.len(), text.parse(words)?))) {
                    Ok((size, entry)) => {
                        bytes += size;
                        entries.push(entry);
                    }
                    Err(trouble) => end = Some(Err(trouble)),
                }
                if end.is_none() && entries.len() < STEP && bytes <= STEP_BYTES {
                    continue;
                }
            }
            Next::Text(None) => end = Some(Ok(())),
            Next::Idle => {}
        }
        if !entries.is_empty() {
            let number = entries.len() as u64;
            bytes = 0;
            match take(std::mem::take(&mut entries)).await {
                Ok(taken) => sum.add(taken),
                Err(failed) => {
                    sum.add(failed.before);
                    end = Some(Err(failed.trouble));
                }
            }
            progress.advance(number);
        }
        match end {
            None => {}
            Some(Ok(())) => return Ok(sum),
            Some(Err(trouble)) => return Err(words.with_so_far(trouble, sum)),
        }
    }
}

impl Words {
    /// The trouble, and how many values are done.
    fn with_so_far(&self, trouble: Trouble, sum: Taken) -> Trouble {
        let (done, past) = ((self.number)(sum.all()), self.past);
        let so_far = match trouble.exit {
            Exit::Usage => format!("{past} before it: {done}"),
            _ => format!("{done} {past} before; the same command goes on"),
        };
        let hint = match &trouble.hint {
            Some(hint) => format!("{hint}. {so_far}"),
            None => so_far,
        };
        trouble.hint(hint)
    }
}

/// A value as it was read.
struct Text {
    line: u64,
    text: String,
}

impl Text {
    fn parse<T: DeserializeOwned>(self, words: &Words) -> Result<Entry<T>, Trouble> {
        let Self { line, text } = self;
        let value = serde_json::from_str(&text).map_err(|error| {
            let place = pointed_json(&text, &error);
            let trouble = Trouble::usage(format!("line {line} is no {}:{place}", words.value));
            match error.is_eof() {
                true => trouble.hint("`jq -c .` puts each object in one line"),
                false => trouble,
            }
        })?;
        Ok(Entry { line, value })
    }
}

/// Begins to read, on a thread of its own: Ctrl-C is heard while nothing comes.
fn open(name: &str) -> Result<mpsc::Receiver<Result<Text, Trouble>>, Trouble> {
    let input: Box<dyn Read + Send> = match name {
        "-" => Box::new(io::stdin()),
        name => Box::new(
            File::open(name)
                .map_err(|error| Trouble::usage(format!("cannot read {name}: {error}")))?,
        ),
    };
    let (sender, receiver) = mpsc::channel(AHEAD);
    let name = name.to_owned();
    let read = move || {
        read(BufReader::new(input), &name, |text| {
            sender.blocking_send(text).is_ok()
        })
    };
    let thread = std::thread::Builder::new().spawn(read);
    thread.map_err(|error| Trouble::error(format!("cannot start a thread: {error}")))?;
    Ok(receiver)
}

/// Gives each value to `give`, until that has had enough.
fn read(mut input: impl BufRead, name: &str, mut give: impl FnMut(Result<Text, Trouble>) -> bool) {
    let cannot_read = |line: u64, error: &io::Error| {
        Err(Trouble::usage(format!(
            "cannot read {name}, line {line}: {error}"
        )))
    };
    let mut is_first = true;
    for line in 1.. {
        let mut text = String::new();
        match input.read_line(&mut text) {
            Ok(0) => return,
            Ok(_) if text.trim().is_empty() => continue,
            Ok(_) => {}
            Err(error) => {
                give(cannot_read(line, &error));
                return;
            }
        }
        if is_first && text.trim_start().starts_with('[') {
            let mut array = text.into_bytes();
            let rest = input.take(ARRAY_BYTES_MAX).read_to_end(&mut array);
            match rest.map_err(|error| cannot_read(line, &error)) {
                Err(trouble) => give(trouble),
                Ok(_) => in_array(array, line).into_iter().all(give),
            };
            return;
        }
        is_first = false;
        text.truncate(text.trim_end().len());
        if !give(Ok(Text { line, text })) {
            return;
        }
    }
}

/// The values of an array that begins in this line. If it is none, there is nothing but the trouble.
fn in_array(text: Vec<u8>, first_line: u64) -> Vec<Result<Text, Trouble>> {
    if text.len() as u64 > ARRAY_BYTES_MAX {
        let mib = ARRAY_BYTES_MAX / 1024 / 1024;
        let trouble = Trouble::usage(format!("an array of more than {mib} MiB is not read"));
        return vec![Err(
            trouble.hint("`jq -c '.[]'` makes a line of each object")
        )];
    }
    let Ok(text) = String::from_utf8(text) else {
        return vec![Err(Trouble::usage("the array is no text in UTF-8"))];
    };
    if let Err(error) = serde_json::from_str::<IgnoredAny>(&text) {
        let line = first_line + (error.line() as u64).saturating_sub(1);
        let place = pointed_json(&text, &error);
        let trouble = Trouble::usage(format!("the array is no JSON, line {line}:{place}"));
        return vec![Err(trouble)];
    }
    let (mut line, mut seen) = (first_line, 0);
    let value = |range: Range<usize>| {
        line += text[seen..range.start].matches('\n').count() as u64;
        seen = range.start;
        let text = text[range].trim_end().to_owned();
        Ok(Text { line, text })
    };
    elements(&text).into_iter().map(value).collect()
}

/// Where each element of an array begins and ends. The text is known to be an array.
fn elements(text: &str) -> Vec<Range<usize>> {
    let (mut found, mut start) = (Vec::new(), None);
    let (mut depth, mut in_text, mut is_escaped) = (0_usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        let was_deep = depth;
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = in_text,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        let is_end = !in_text && (depth == 0 || depth == 1 && byte == b',');
        match (is_end, start) {
            (true, Some(from)) => {
                found.push(from..at);
                start = None;
            }
            (false, None) if was_deep > 0 && !byte.is_ascii_whitespace() => start = Some(at),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(input: &str) -> Vec<(u64, String)> {
        let mut all = Vec::new();
        read(input.as_bytes(), "-", |text| {
            let text = text.unwrap_or_else(|trouble| Text {
                line: 0,
                text: trouble.message,
            });
            all.push((text.line, text.text));
            true
        });
        all
    }

    fn expect(input: &str, expected: &[(u64, &str)]) {
        let texts = texts(input);
        let texts: Vec<_> = texts.iter().map(|(line, text)| (*line, &**text)).collect();
        assert_eq!(texts, expected, "{input:?}");
    }

    #[test]
    fn each_value_is_found_with_its_line() {
        expect("", &[]);
        expect("\n{\"a\": 1}\n\n  {}", &[(2, "{\"a\": 1}"), (4, "  {}")]);
        expect("[]\n", &[]);
        expect(" [ ] ", &[]);
        expect("[1,2 ,\n3]", &[(1, "1"), (1, "2"), (2, "3")]);
        let tricky = "\n[\n {\"a\": \"],\\\\\\\"{\", \"b\": [1, [2]]}\n, {\n}]";
        expect(
            tricky,
            &[
                (3, "{\"a\": \"],\\\\\\\"{\", \"b\": [1, [2]]}"),
                (4, "{\n}"),
            ],
        );
        expect("[\"a\", \"b,\"]", &[(1, "\"a\""), (1, "\"b,\"")]);
    }

    #[test]
    fn an_array_that_is_none_is_refused_as_a_whole() {
        for (bad, line) in [
            ("[1,\n2", "line 2"),
            ("\n[1]\n[2]", "line 3"),
            ("[1,]", "line 1"),
        ] {
            let texts = texts(bad);
            assert_eq!(texts.len(), 1, "{bad}");
            assert!(texts[0].1.contains(line), "{texts:?}");
        }
    }
}
