//! Loads the library named on the command line and says who loaded it.
use opcodon_elf::{Dependencies, Library, Loader, Options};

fn main() {
    let mut args = std::env::args().skip(1);
    let path = args.next().expect("a path");
    let loader = args.next().and_then(|name| Loader::from_name(&name));
    let dependencies = args.next().and_then(|name| Dependencies::from_name(&name));
    let options = Options {
        loader: loader.unwrap_or_default(),
        dependencies: dependencies.unwrap_or_default(),
    };
    match Library::open(&path, &options) {
        Ok(library) => {
            let reason = library.reason().unwrap_or("");
            let (n, files) = (library.symbols().len(), library.files().len());
            println!(
                "{}\t{n} symbols\t{files} files\t{reason}",
                library.loader().name()
            );
            library.close();
        }
        Err(error) => {
            println!("refused\t{error}");
            std::process::exit(1);
        }
    }
}
