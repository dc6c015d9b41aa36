//! The macro that turns a namespace and a list of local names into a module of constants.

/// Declares a vocabulary module: `NS`, one constant per term, and `TERMS` with all of them.
macro_rules! vocabulary {
    ($(#[$meta:meta])* $module:ident = $ns:literal { $($name:ident $local:literal),* $(,)? }) => {
        $(#[$meta])*
        pub mod $module {
            #[doc = concat!("The namespace `", $ns, "`.")]
            pub const NS: &str = $ns;
            $(
                #[doc = concat!("`", $ns, $local, "`")]
                pub const $name: &str = concat!($ns, $local);
            )*
            /// Every term above, in the order of this module.
            pub const TERMS: &[&str] = &[$($name),*];
        }
    };
}
