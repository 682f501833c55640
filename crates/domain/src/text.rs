//! Words whose text is part of an API: one list holds variant, text and meaning.

/// The text is none of the words that are known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no {what}; known are {known}")]
pub struct UnknownWord {
    /// What was expected, such as `phase`.
    pub what: &'static str,
    /// What was found.
    pub text: String,
    /// What there is, separated by commas.
    pub known: String,
}

/// Declares an enum of words with `Display`, `FromStr` and `ALL`. The text is
/// the name of the variant unless another one is given.
macro_rules! words {
    (@text $variant:ident) => { stringify!($variant) };
    (@text $variant:ident $text:literal) => { $text };
    ($(#[$meta:meta])* $vis:vis enum $name:ident ($what:literal) { $($(#[$doc:meta])* $variant:ident $(= $text:literal)?,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// Every word, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word as the API writes it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $crate::text::words!(@text $variant $($text)?)),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::text::UnknownWord;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|word| word.as_str() == text).ok_or_else(|| {
                    $crate::text::UnknownWord {
                        what: $what,
                        text: text.to_owned(),
                        known: Self::ALL.iter().map(|word| word.as_str()).collect::<Vec<_>>().join(", "),
                    }
                })
            }
        }
    };
}
pub(crate) use words;
