//! How `okra local status` and `okra local down` reach the process that runs
//! in the background: one line over a Unix socket in the data directory. A
//! socket, not a process id: an id may by then belong to somebody else.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

/// Longest question; there are two of a few letters.
const QUESTION_BYTES_MAX: u64 = 64;
/// Longest wait for a question or an answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// What runs where.
    Status,
    /// End, and answer when the end has begun.
    Down,
}

impl Question {
    fn word(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Down => "down",
        }
    }

    fn parse(line: &str) -> Option<Self> {
        [Self::Status, Self::Down].into_iter().find(|question| question.word() == line.trim())
    }
}

/// The socket of a data directory.
pub fn socket(data_dir: &Path) -> PathBuf {
    data_dir.join("control.sock")
}

/// Answers questions until `gone`: `status` gives the JSON, `down` cancels
/// `stop`. Between the two the end is under way, and whoever asks sees that
/// the process is still there. The caller removes the socket.
///
/// # Errors
/// When the socket cannot be made.
pub fn answer(
    data_dir: &Path,
    stop: CancellationToken,
    gone: CancellationToken,
    status: impl Fn() -> String + Send + Sync + 'static,
) -> anyhow::Result<()> {
    let path = socket(data_dir);
    // The store's lock has shown that no other process serves this folder,
    // so a socket that is there was left behind.
    super::files::remove(&path)?;
    let listener =
        UnixListener::bind(&path).with_context(|| format!("cannot listen on {}", path.display()))?;
    tokio::spawn(async move {
        loop {
            let stream = tokio::select! {
                accepted = listener.accept() => accepted,
                () = gone.cancelled() => break,
            };
            let Ok((stream, _)) = stream else { continue };
            if let Ok(Err(error)) = tokio::time::timeout(TIMEOUT, serve(stream, &stop, &status)).await {
                tracing::debug!(%error, "a question on the control socket was not answered");
            }
        }
    });
    Ok(())
}

async fn serve(
    stream: UnixStream,
    stop: &CancellationToken,
    status: &(impl Fn() -> String + Send + Sync),
) -> anyhow::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut line = String::new();
    BufReader::new(reader.take(QUESTION_BYTES_MAX)).read_line(&mut line).await?;
    let question = Question::parse(&line).context("an unknown question")?;
    writer.write_all(status().as_bytes()).await?;
    writer.shutdown().await?;
    if question == Question::Down {
        stop.cancel();
    }
    Ok(())
}

/// Asks the process of `data_dir`; `None` when none runs there.
///
/// # Errors
/// When one runs and does not answer.
pub async fn ask(data_dir: &Path, question: Question) -> anyhow::Result<Option<String>> {
    let path = socket(data_dir);
    let Ok(mut stream) = UnixStream::connect(&path).await else { return Ok(None) };
    let exchange = async {
        stream.write_all(format!("{}\n", question.word()).as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        anyhow::Ok(answer)
    };
    tokio::time::timeout(TIMEOUT, exchange)
        .await
        .with_context(|| format!("no answer on {} within {TIMEOUT:?}", path.display()))?
        .map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn status_answers_and_down_ends() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(ask(folder.path(), Question::Status).await.unwrap(), None);
        let stop = CancellationToken::new();
        answer(folder.path(), stop.clone(), CancellationToken::new(), || "{\"a\":1}".into()).unwrap();
        assert_eq!(ask(folder.path(), Question::Status).await.unwrap().as_deref(), Some("{\"a\":1}"));
        assert!(!stop.is_cancelled());
        ask(folder.path(), Question::Down).await.unwrap();
        stop.cancelled().await;
    }
}
