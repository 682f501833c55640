//! How text for people looks: width, colour and icons. Colour is never the
//! only signal, and nothing here is asked for in machine formats.

use std::io::{self, IsTerminal as _};

use clap::Args;

/// Width for which text is laid out: a terminal of the usual width holds it.
pub const WIDTH: usize = 80;

/// Flags about the look.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct LookFlags {
    /// No colour, as with the variable NO_COLOR or when stdout is no terminal
    #[arg(long)]
    no_color: bool,
    /// Plain ASCII instead of icons and lines
    #[arg(long, env = "OKRA_ASCII")]
    ascii: bool,
}

impl LookFlags {
    /// What the flags and the environment make of it.
    pub fn look(self) -> Look {
        let wanted = !self.no_color && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Look { colour: wanted && io::stdout().is_terminal(), ascii: self.ascii }
    }
}

/// How text for people looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Look {
    /// Whether colour is used.
    pub colour: bool,
    /// Whether only ASCII is used.
    pub ascii: bool,
}

/// How good a state is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// As it should be.
    Good,
    /// Failed or degraded.
    Bad,
    /// Not sure, or an error of measuring.
    Unsure,
    /// Under way.
    Busy,
    /// Waits for a human.
    Held,
    /// Not begun.
    Idle,
}

impl Mood {
    /// Of a phase of a Cell, an AnalysisRun, a metric or a measurement.
    pub fn of_phase(phase: &str) -> Self {
        match phase {
            "Completed" | "Successful" | "Updated" => Self::Good,
            "Failed" | "Degraded" => Self::Bad,
            "Error" | "Inconclusive" => Self::Unsure,
            "Progressing" | "Running" | "Updating" => Self::Busy,
            "Paused" => Self::Held,
            _ => Self::Idle,
        }
    }
}

impl Look {
    /// The icon of a mood, coloured where colour is on.
    pub fn icon(self, mood: Mood) -> String {
        let (icon, ascii, colour) = match mood {
            Mood::Good => ("✔", "ok", 32),
            Mood::Bad => ("✖", "!!", 31),
            Mood::Unsure => ("⚠", "??", 33),
            Mood::Busy => ("◌", "..", 36),
            Mood::Held => ("॥", "||", 33),
            Mood::Idle => ("•", "--", 90),
        };
        let icon = if self.ascii { ascii } else { icon };
        if self.colour { format!("\u{1b}[{colour}m{icon}\u{1b}[0m") } else { icon.to_owned() }
    }

    /// What stands before a branch of a tree, and before the lines below it.
    pub fn branch(self, last: bool) -> [&'static str; 2] {
        match (self.ascii, last) {
            (false, false) => ["├─ ", "│  "],
            (false, true) => ["└─ ", "   "],
            (true, false) => ["|- ", "|  "],
            (true, true) => ["`- ", "   "],
        }
    }

    /// The values as small bars between their least and their greatest.
    pub fn sparkline(self, values: &[f64]) -> String {
        const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
        const ASCII: [char; 8] = ['_', '.', '-', '-', '=', '=', '^', '^'];
        let bars = if self.ascii { ASCII } else { BARS };
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let span = values.iter().copied().fold(f64::NEG_INFINITY, f64::max) - least;
        let level = |value: f64| if span > 0.0 { ((value - least) / span * 7.0).round() } else { 0.0 };
        // A rounded share of seven is a small whole number.
        values.iter().map(|value| bars[(level(*value) as usize).min(bars.len() - 1)]).collect()
    }
}

/// A text in lines of at most [`WIDTH`] columns, each behind `indent`. A word
/// that is longer keeps a line of its own.
pub fn wrapped(text: &str, indent: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = indent.to_owned();
    for word in text.split_whitespace() {
        let full = line.chars().count() + word.chars().count() + 1 > WIDTH;
        if full && line.len() > indent.len() {
            lines.push(line.trim_end().to_owned());
            line = indent.to_owned();
        }
        line.push_str(word);
        line.push(' ');
    }
    if line.len() > indent.len() {
        lines.push(line.trim_end().to_owned());
    }
    lines
}

/// Rows in columns as wide as their widest value, two blanks apart.
pub fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|value| value.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(value, width)| format!("{value:<width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

/// A time span as people say it: `45s`, `3m12s`, `2h05m`, `3d04h`.
pub fn span(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{minutes}m{:02}s", seconds % 60),
        3600..86_400 => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{days}d{:02}h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_short() {
        let spans = [-3, 0, 59, 60, 3599, 3600, 86_399, 86_400].map(span);
        assert_eq!(spans, ["0s", "0s", "59s", "1m00s", "59m59s", "1h00m", "23h59m", "1d00h"]);
    }

    #[test]
    fn text_keeps_within_eighty_columns() {
        let text = "word ".repeat(50) + &"x".repeat(100);
        let lines = wrapped(&text, "    ");
        assert!(lines[..lines.len() - 1].iter().all(|line| line.chars().count() <= WIDTH), "{lines:?}");
        assert!(lines.iter().all(|line| line.starts_with("    ")));
        assert_eq!(lines.last().map(|line| line.trim_start().len()), Some(100));
        assert!(wrapped("", "  ").is_empty());
    }

    #[test]
    fn bars_lie_between_least_and_greatest() {
        let look = Look::default();
        assert_eq!(look.sparkline(&[0.0, 7.0, 3.5]), "▁█▅");
        assert_eq!(look.sparkline(&[2.0, 2.0]), "▁▁");
        assert_eq!(look.sparkline(&[]), "");
        assert_eq!(Look { ascii: true, colour: false }.sparkline(&[0.0, 1.0]), "_^");
    }

    #[test]
    fn colour_is_never_the_only_signal() {
        let plain = Look::default().icon(Mood::Bad);
        let coloured = Look { colour: true, ascii: false }.icon(Mood::Bad);
        assert!(coloured.contains(&plain) && coloured.starts_with('\u{1b}'), "{coloured}");
    }
}
