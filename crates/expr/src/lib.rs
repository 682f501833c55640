//! The condition language of analysis templates.
