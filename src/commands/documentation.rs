//! The commands `completions` and `man`, which print what is generated from the flags.

use std::io::{self, ErrorKind, Write};

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::cli::Cli;

/// Section of the man page.
const EXIT_STATUS: &str = ".SH EXIT STATUS
.TP
0
The exporter was stopped by SIGTERM or SIGINT, or the command succeeded.
.TP
1
The exporter cannot run, for example because its address is in use, or `check` or `health` failed.
.TP
2
A flag or the configuration is invalid.
";

/// Prints the completions of a shell.
///
/// # Errors
/// Returns an error if standard output cannot be written.
pub fn print_completions(shell: Shell) -> io::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(
        shell,
        &mut Cli::command(),
        "ringcentral-exporter",
        &mut script,
    );
    print(correct_names(&String::from_utf8_lossy(&script)).as_bytes())
}

/// Corrects the names of subcommands in the script for bash: `clap_complete` 4.6 writes a hyphen in the name of the program
/// as `__`, which it then takes for the end of the name.
fn correct_names(script: &str) -> String {
    script.replace("ringcentral__subcmd__exporter", "ringcentral__exporter")
}

/// Prints the manual page, one page for all commands.
///
/// # Errors
/// Returns an error if standard output cannot be written.
pub fn print_man_page() -> io::Result<()> {
    let mut command = Cli::command().version(env!("CARGO_PKG_VERSION"));
    command.build();
    let mut page = Vec::new();
    let man = Man::new(command.clone());
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    for subcommand in command.get_subcommands() {
        let name = subcommand.get_name();
        let about = subcommand.get_about().unwrap_or_default();
        writeln!(page, ".SH COMMAND {name}\n{about}.")?;
        let own_flags = subcommand.clone().mut_args(|arg| {
            let is_listed = command.get_arguments().any(|listed| listed == &arg);
            arg.hide(is_listed)
        });
        let mut options = Vec::new();
        Man::new(own_flags).render_options_section(&mut options)?;
        let options = String::from_utf8_lossy(&options);
        page.write_all(options.replace(".SH OPTIONS", ".SS Options").as_bytes())?;
    }
    page.write_all(EXIT_STATUS.as_bytes())?;
    let mut secrets = Vec::new();
    man.render_extra_section(&mut secrets)?;
    let secrets = String::from_utf8_lossy(&secrets);
    page.write_all(secrets.replace(".SH EXTRA", ".SH SECRETS").as_bytes())?;
    man.render_version_section(&mut page)?;
    print(&page)
}

/// Writes to standard output. It is not an error if its reader, such as `head`, has closed it.
pub(super) fn print(text: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout();
    match stdout.write_all(text).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}
