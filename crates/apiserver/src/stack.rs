//! Room for parsers of others that call themselves once a level: threads of a server have two megabytes of stack, and
//! a parser that is not optimised takes twenty kilobytes a level.

/// Bytes of stack; they cost address space only, until they are used.
const STACK_BYTES: usize = 16 << 20;

/// Runs a function on a thread of its own with a large stack and waits for it; nothing if the function panicked or
/// there is no thread to be had.
pub(crate) fn with_room<T: Send>(run: impl FnOnce() -> T + Send) -> Option<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, run).ok()?;
        thread.join().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_inside_is_no_panic_outside() {
        assert_eq!(with_room(|| 1 + 1), Some(2));
        assert_eq!(with_room(|| -> u8 { panic!("a parser of others may") }), None);
    }
}
