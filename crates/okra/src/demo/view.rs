//! The live view of a demo: a picture that is drawn over itself on a terminal,
//! and plain lines elsewhere. Colour is never the only signal.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

/// Narrowest picture that still holds every column.
const WIDTH_MIN: usize = 60;
/// Wider than this the bars only get longer, not clearer.
const WIDTH_MAX: usize = 100;

/// One version and its part of the traffic.
#[derive(Debug, Clone, PartialEq)]
pub struct VersionLine {
    /// The version.
    pub version: String,
    /// Its weight in percent.
    pub weight: u32,
    /// Percent of the last second's answers, if there were any.
    pub share: Option<f64>,
    /// Target groups with their health, as `web-1-v2 healthy`.
    pub groups: Vec<String>,
}

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepState {
    /// Behind us.
    Done,
    /// The present one.
    Now,
    /// Still to come.
    Next,
}

/// One step of the rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepLine {
    /// Where it stands.
    pub state: StepState,
    /// What it does, as `weight 10 %`.
    pub text: String,
}

/// Everything the picture shows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Picture {
    /// What is going on, in one line.
    pub headline: String,
    /// Why, in one line.
    pub message: String,
    /// Since the demo began.
    pub elapsed: Duration,
    /// Requests so far.
    pub requests: usize,
    /// Failures that nobody asked for.
    pub failed: usize,
    /// Errors made on purpose.
    pub backend_errors: usize,
    /// The versions, oldest first.
    pub versions: Vec<VersionLine>,
    /// The steps.
    pub steps: Vec<StepLine>,
}

impl Picture {
    /// The picture as lines of at most `width` columns.
    pub fn lines(&self, width: usize) -> Vec<String> {
        let width = width.clamp(WIDTH_MIN, WIDTH_MAX);
        let seconds = format!("{:>5.1} s", self.elapsed.as_secs_f64());
        let room = width - seconds.chars().count() - 1;
        let mut lines =
            vec![format!("{:<room$} {seconds}", cut(&format!("okra demo  {}", self.headline), room))];
        lines.push(cut(&format!("  {}", self.message), width));
        lines.push(String::new());
        for version in &self.versions {
            lines.push(version.bar(width));
            lines.push(cut(&format!("         {}", version.groups.join("   ")), width));
        }
        lines.push(String::new());
        lines.extend(self.steps.iter().map(|step| cut(&step.line(), width)));
        lines.push(String::new());
        lines.push(cut(
            &format!(
                "  {} requests   {} failed   {} errors made on purpose",
                self.requests, self.failed, self.backend_errors
            ),
            width,
        ));
        lines
    }
}

impl VersionLine {
    /// `  2.0.0  [=====>    ]  50 %  answered  49.8 %`
    fn bar(&self, width: usize) -> String {
        let share = self.share.map_or_else(|| "      -".to_owned(), |share| format!("{share:>5.1} %"));
        let right = format!(" weight {:>3} %  answered {share}", self.weight);
        let room = width.saturating_sub(right.chars().count() + 11).max(4);
        let filled = (room * self.weight as usize).div_ceil(100).min(room);
        format!("  {:<7}[{}{}]{right}", self.version, "=".repeat(filled), " ".repeat(room - filled))
    }
}

impl StepLine {
    fn line(&self) -> String {
        let mark = match self.state {
            StepState::Done => "done",
            StepState::Now => "now ",
            StepState::Next => "next",
        };
        format!("  {mark}  {}", self.text)
    }
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width - 1).collect();
    format!("{kept}…")
}

/// Where pictures go: redrawn in place on a terminal, or one plain line each
/// time the headline changes.
pub struct Screen {
    out: Box<dyn Write + Send>,
    in_place: bool,
    width: usize,
    drawn: usize,
    last_headline: String,
}

impl Screen {
    /// Draws on stderr: data goes to stdout, everything else here.
    pub fn stderr() -> Self {
        let in_place = io::stderr().is_terminal();
        let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
        Self::new(Box::new(io::stderr()), in_place, columns.unwrap_or(80))
    }

    fn new(out: Box<dyn Write + Send>, in_place: bool, width: usize) -> Self {
        Self { out, in_place, width, drawn: 0, last_headline: String::new() }
    }

    /// Shows the picture. A closed pipe is not an error.
    pub fn show(&mut self, picture: &Picture) {
        let _ = if self.in_place { self.redraw(picture) } else { self.append(picture) };
    }

    fn redraw(&mut self, picture: &Picture) -> io::Result<()> {
        let lines = picture.lines(self.width);
        if self.drawn > 0 {
            write!(self.out, "\x1b[{}A\r", self.drawn)?;
        }
        for line in &lines {
            writeln!(self.out, "{line}\x1b[K")?;
        }
        write!(self.out, "\x1b[J")?;
        self.drawn = lines.len();
        self.out.flush()
    }

    fn append(&mut self, picture: &Picture) -> io::Result<()> {
        if picture.headline == self.last_headline {
            return Ok(());
        }
        self.last_headline.clone_from(&picture.headline);
        let seconds = picture.elapsed.as_secs_f64();
        let weights: Vec<String> =
            picture.versions.iter().map(|line| format!("{} {} %", line.version, line.weight)).collect();
        writeln!(
            self.out,
            "{seconds:>5.1} s  {}  [{}]  {} requests, {} failed",
            picture.headline,
            weights.join(", "),
            picture.requests,
            picture.failed
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> Picture {
        Picture {
            headline: "rolling out 2.0.0, step 2 of 5".into(),
            message: "weight 50 % confirmed; settling for 2 s".into(),
            elapsed: Duration::from_millis(12_340),
            requests: 6170,
            failed: 0,
            backend_errors: 3,
            versions: vec![
                VersionLine {
                    version: "1.0.0".into(),
                    weight: 50,
                    share: Some(50.2),
                    groups: vec!["web-1-v1 25".into(), "web-2-v1 25".into()],
                },
                VersionLine {
                    version: "2.0.0".into(),
                    weight: 50,
                    share: None,
                    groups: vec!["web-1-v2 25".into()],
                },
            ],
            steps: vec![
                StepLine { state: StepState::Done, text: "weight 10 %".into() },
                StepLine { state: StepState::Now, text: "weight 50 %".into() },
                StepLine { state: StepState::Next, text: "analysis error-rate".into() },
            ],
        }
    }

    #[test]
    fn every_line_fits_the_width() {
        for width in [60, 80, 100] {
            for line in picture().lines(width) {
                assert!(line.chars().count() <= width, "{width}: {line:?}");
            }
        }
    }

    #[test]
    fn the_picture_at_80_columns() {
        insta::assert_snapshot!(picture().lines(80).join("\n"));
    }

    #[test]
    fn plain_lines_come_once_a_headline() {
        let mut screen = Screen::new(Box::new(Vec::new()), false, 80);
        screen.show(&picture());
        screen.show(&picture());
        assert_eq!(screen.last_headline, picture().headline);
        assert_eq!(screen.drawn, 0);
    }
}
