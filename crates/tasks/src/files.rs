//! Files of a person's own, read whole, with a limit and errors that name the key, the file and the remedy.

use seqbench_core::{Error, Result};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

/// The bytes of the file that the configuration key `key` names, `most` at most.
///
/// # Errors
/// There is no such file, it is none to read from, or it is larger than `most`.
pub(crate) fn read(key: &str, path: &str, most: u64) -> Result<Vec<u8>> {
    let refused = |why: String| Error::invalid(format!("`{key}`: {path}: {why}"));
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => {
            refused("no such file; give the path of a file of your own, from the working directory on".into())
        }
        _ => refused(format!("cannot be read: {error}; give a file that you may read")),
    };
    // Asked before it is opened: opening a pipe waits for whoever writes into it.
    let found = std::fs::metadata(Path::new(path)).map_err(failed)?;
    if found.is_dir() {
        return Err(refused("is a directory; give the path of one file".into()));
    }
    if !found.is_file() {
        return Err(refused("is no regular file; give the path of a file on the disk".into()));
    }
    let too_large = |bytes: u64| refused(format!("holds {bytes} bytes; give a file of {most} or less"));
    if found.len() > most {
        return Err(too_large(found.len()));
    }
    let mut bytes = Vec::new();
    let file = File::open(Path::new(path)).map_err(failed)?;
    file.take(most + 1).read_to_end(&mut bytes).map_err(failed)?;
    // It may have grown in between.
    if bytes.len() as u64 > most {
        return Err(too_large(bytes.len() as u64));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_of_that_size_is_refused_by_key_path_and_remedy() {
        let folder = std::env::temp_dir();
        let file = folder.join(format!("seqbench-files-{}", std::process::id()));
        std::fs::write(&file, [7; 20]).unwrap();
        let (folder, path) = (folder.to_str().unwrap(), file.to_str().unwrap());
        assert_eq!(read("path", path, 20).unwrap(), [7; 20]);
        let cases = [
            (path, "holds 20 bytes; give a file of 19 or less"),
            (folder, "is a directory; give the path of one file"),
            ("/nowhere/x", "no such file; give the path"),
        ];
        for (path, expected) in cases {
            let message = read("path", path, 19).unwrap_err().to_string();
            assert!(message.starts_with(&format!("`path`: {path}: {expected}")), "{message}");
        }
        std::fs::remove_file(file).unwrap();
    }
}
