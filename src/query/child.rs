//! The process that runs a query: values in, what they come to out, until the input ends.
//!
//! Each value is a frame: its length in four bytes, and its bytes. So is each answer, behind one
//! byte that says what it is.

use std::io::{self, BufReader, BufWriter, Read as _, Write as _};

use super::{Judged, Program};

/// How much memory the process may have, in bytes.
const MEMORY: u64 = 2 << 30;

/// What an answer is.
pub(super) const READY: u8 = 0;
pub(super) const NO: u8 = 1;
pub(super) const YES: u8 = 2;
pub(super) const NO_JSON: u8 = 3;
pub(super) const FAILED: u8 = 4;

/// Runs a query over standard input. With `texts`, answers say what the query gives.
///
/// # Errors
/// The pipe to whoever asks is broken, or the query makes no sense.
pub fn serve(query: &str, texts: bool) -> io::Result<()> {
    stay_small();
    let program = Program::compile(query).map_err(io::Error::other)?;
    let mut input = BufReader::with_capacity(256 << 10, io::stdin().lock());
    let mut output = BufWriter::with_capacity(64 << 10, io::stdout().lock());
    answer(&mut output, READY, b"")?;
    output.flush()?;
    let mut value = Vec::new();
    loop {
        let mut length = [0; 4];
        match input.read_exact(&mut length) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            read => read?,
        }
        value.clear();
        let length = u64::from(u32::from_le_bytes(length));
        input.by_ref().take(length).read_to_end(&mut value)?;
        match program.judge(&value, texts) {
            Judged::Outputs { is_match, texts } => {
                let code = if is_match { YES } else { NO };
                answer(&mut output, code, texts.join("\n").as_bytes())?;
            }
            Judged::NoJson(reason) => answer(&mut output, NO_JSON, reason.as_bytes())?,
            Judged::Failed(reason) => answer(&mut output, FAILED, reason.as_bytes())?,
        }
        // The next value may take for ever: what is known is told before.
        output.flush()?;
    }
}

fn answer(output: &mut impl io::Write, code: u8, text: &[u8]) -> io::Result<()> {
    let length = u32::try_from(text.len()).map_err(io::Error::other)?;
    output.write_all(&[code])?;
    output.write_all(&length.to_le_bytes())?;
    output.write_all(text)
}

/// Dies with its parent, and of too much memory rather than of taking everybody's.
fn stay_small() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{
            Resource, Rlimit, Signal, set_parent_process_death_signal, setrlimit,
        };
        let limit = Rlimit {
            current: Some(MEMORY),
            maximum: Some(MEMORY),
        };
        // Where a stricter limit holds already, that is as good.
        let _ = setrlimit(Resource::As, limit);
        let _ = set_parent_process_death_signal(Some(Signal::KILL));
    }
}
