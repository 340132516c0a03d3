//! Enums whose variants are label values. Pure.

/// Defines an enum, all its variants, and their label values from one table.
macro_rules! label_enum {
    ($(#[$meta:meta])* $name:ident {
        $($(#[$variant_meta:meta])* $variant:ident = $label:literal,)*
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_meta])* $variant,)*
        }

        impl $name {
            /// All variants, in the order in which they can occur or are shown.
            pub const ALL: [Self; [$($label,)*].len()] = [$(Self::$variant,)*];

            /// Returns the label value, which is also used in logs and documents.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $label,)* }
            }
        }
    };
}
pub(crate) use label_enum;
