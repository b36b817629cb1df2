//! How a word of the library is declared: its name and its page in one place.

/// Declares a unit struct that is a [`rbt_compiler::word::Word`].
macro_rules! word {
    (
        $(#[$attribute:meta])*
        $type:ident = $name:literal {
            usage: [$($usage:literal),+ $(,)?],
            summary: $summary:literal,
            details: $details:literal,
            examples: [$($example:literal),* $(,)?],
            kernel: $kernel:literal $(,)?
        }
    ) => {
        $(#[$attribute])*
        pub(crate) struct $type;

        impl rbt_compiler::word::Word for $type {
            fn name(&self) -> &'static str {
                $name
            }

            fn doc(&self) -> &'static rbt_compiler::word::Doc {
                const {
                    &rbt_compiler::word::Doc {
                        usage: &[$($usage),+],
                        summary: $summary,
                        details: $details,
                        examples: &[$($example),*],
                        kernel: $kernel,
                    }
                }
            }
        }
    };
}

pub(crate) use word;
