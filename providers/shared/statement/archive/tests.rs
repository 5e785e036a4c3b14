//! Archives written by an unrelated library are read, and every way to lie in one is refused.

use super::*;
use proptest::prelude::*;
use std::io::{Cursor, Write as _};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

fn archive(contents: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in contents {
        writer.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

type Files = Vec<(Vec<u8>, Vec<u8>)>;

fn read_all(bytes: &[u8]) -> Result<Files, StatementFault> {
    let mut file = Cursor::new(bytes);
    let length = u64::try_from(bytes.len()).unwrap();
    let mut read = Vec::new();
    for entry in entries(&mut file, length)? {
        let mut content = Vec::new();
        open(&mut file, &entry)?.read_to_end(&mut content).map_err(|error| io_fault(&error))?;
        read.push((entry.name, content));
    }
    Ok(read)
}

fn refused(bytes: &[u8]) -> String {
    read_all(bytes).unwrap_err().to_string()
}

#[test]
fn what_another_library_packs_is_read_stored_or_deflated() {
    let contents: [(&str, &[u8]); 2] = [("one.csv", b"one"), ("b", &[7; 5000])];
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        let read = read_all(&archive(&contents, method)).unwrap();
        let wanted = contents.map(|(name, content)| (name.as_bytes().to_vec(), content.to_vec()));
        assert_eq!(read, wanted);
    }
}

#[test]
fn names_that_are_paths_are_refused() {
    for name in ["../../etc/passwd", "/etc/passwd", "folder/a", "..\\a", "..", "a\0b"] {
        let bytes = crate::shared::statement::testing::zipped(&[(name.as_bytes(), b"x")]);
        assert!(refused(&bytes).contains("directory"), "{name}");
    }
    let gbk = encoding_rs::GBK.encode("乗.csv").0.into_owned();
    assert!(gbk.contains(&b'\\'));
    assert_eq!(read_all(&crate::shared::statement::testing::zipped(&[(&gbk, b"x")])).unwrap()[0].0, gbk);
}

#[test]
fn a_comment_behind_the_end_is_passed_over() {
    let mut bytes = archive(&[("a", b"x")], CompressionMethod::Stored);
    let at = bytes.len() - 2;
    bytes[at] = 3;
    bytes.extend(b"hey");
    assert_eq!(read_all(&bytes).unwrap().len(), 1);
    bytes.push(b'!');
    assert_eq!(refused(&bytes), "the file is no whole ZIP file");
}

#[test]
fn too_many_entries_and_too_much_in_one_are_refused() {
    let names: Vec<String> = (0..33).map(|n| n.to_string()).collect();
    let many: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
    assert!(refused(&archive(&many, CompressionMethod::Stored)).contains("directory"));
    let bomb = archive(&[("a", &vec![0; 32 << 20])], CompressionMethod::Deflated);
    assert!(bomb.len() < 100_000);
    assert!(refused(&bomb).contains("directory"));
}

#[test]
fn an_entry_that_declares_less_than_it_holds_is_stopped() {
    let bytes = archive(&[("a", &vec![b'x'; 900_000])], CompressionMethod::Deflated);
    let directory = bytes.windows(4).position(|window| window == DIRECTORY).unwrap();
    for (declared, why) in [(10_u32, "more comes out of it"), (900_001, "length or checksum")] {
        let mut lie = bytes.clone();
        lie[directory + 24..directory + 28].copy_from_slice(&declared.to_le_bytes());
        assert!(refused(&lie).contains(why), "{declared}");
    }
}

#[test]
fn encrypted_strange_and_misplaced_entries_are_refused() {
    let bytes = archive(&[("a", b"content")], CompressionMethod::Stored);
    let directory = bytes.windows(4).position(|window| window == DIRECTORY).unwrap();
    for (place, value) in [(8, 1), (10, 99), (42, 1), (16, bytes[directory + 16] ^ 1)] {
        let mut lie = bytes.clone();
        lie[directory + place] = value;
        assert!(read_all(&lie).is_err(), "byte {place}");
    }
    let mut prefixed = b"x".to_vec();
    prefixed.extend(&bytes);
    assert!(refused(&prefixed).contains("directory"));
    for text in [&b""[..], b"PK", b"<html>", &bytes[..bytes.len() - 1]] {
        assert_eq!(refused(text), "the file is no whole ZIP file");
    }
}

proptest! {
    #[test]
    fn a_flipped_bit_is_refused_or_changes_no_content(at in 0..400usize, bit in 0..8u32) {
        let content = b"the same line again and again and again\r\n".repeat(5);
        let mut bytes = archive(&[("name", &content)], CompressionMethod::Deflated);
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        if let Ok(read) = read_all(&bytes) {
            prop_assert_eq!(&read[0].1, &content);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(read_all(&bytes).is_err());
    }
}
