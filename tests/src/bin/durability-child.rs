//! The process that the durability tests kill. See `meent_tests::durability`.

fn main() -> std::process::ExitCode {
    meent_tests::durability::child::main()
}
