//! Names of C++ and Rust symbols as their source writes them.
//!
//! Takes a symbol's name; gives it readable. What is no such name stays as it is.

use std::borrow::Cow;

/// The readable form. Rust's older names are shown as the C++ names that they are, their hash
/// included, as other tools do.
pub(crate) fn demangle(name: &[u8]) -> String {
    let text = String::from_utf8_lossy(name);
    // A version after `@` is none of the name's own.
    let (bare, _) = text.split_once('@').unwrap_or((&text, ""));
    if bare.starts_with("_R")
        && let Ok(symbol) = rustc_demangle::try_demangle(bare)
    {
        return format!("{symbol:#}");
    }
    if bare.starts_with("_Z") || bare.starts_with("__Z") {
        let parsed = cpp_demangle::Symbol::new(bare);
        if let Some(readable) = parsed.ok().and_then(|symbol| symbol.demangle().ok()) {
            return readable;
        }
    }
    match text {
        Cow::Borrowed(text) => text.to_owned(),
        Cow::Owned(text) => text,
    }
}

#[cfg(test)]
mod tests {
    use super::demangle;

    #[test]
    fn names_become_readable() {
        let pairs = [
            ("main", "main"),
            ("_start", "_start"),
            ("_ZN3foo3barEi", "foo::bar(int)"),
            (
                "_ZNKSt6vectorIiSaIiEE4sizeEv",
                "std::vector<int, std::allocator<int> >::size() const",
            ),
            (
                "_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE",
                "core::fmt::Write::write_fmt::h0123456789abcdef",
            ),
            (
                "_RNvCskwGfYPst2Cb_3foo16example_function",
                "foo::example_function",
            ),
            ("_Zbroken", "_Zbroken"),
        ];
        for (name, readable) in pairs {
            assert_eq!(demangle(name.as_bytes()), readable);
        }
    }
}
