//! A small ZIP writer for tests: names are bytes, as providers write them.
//!
//! It is not the reader turned around: it writes from the format's own description, stored or deflated.

use flate2::Crc;
use flate2::write::DeflateEncoder;
use std::io::Write as _;

/// A ZIP of entries with these names and contents.
pub(crate) fn zipped(entries: &[(&[u8], &[u8])]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in entries {
        let mut crc = Crc::new();
        crc.update(content);
        let mut encoder = DeflateEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(content).unwrap();
        let packed = encoder.finish().unwrap();
        let mut head = vec![20, 0, 0, 0, 8, 0, 0, 0, 0, 0];
        for number in [crc.sum(), length(&packed), length(content)] {
            head.extend(number.to_le_bytes());
        }
        head.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        head.extend([0; 2]);
        let starts_at = length(&file);
        file.extend([b"PK\x03\x04".as_slice(), &head, name, &packed].concat());
        directory.extend([b"PK\x01\x02\x14\x00".as_slice(), &head, &[0; 10]].concat());
        directory.extend(starts_at.to_le_bytes());
        directory.extend(*name);
    }
    let count = u16::try_from(entries.len()).unwrap().to_le_bytes();
    let starts_at = length(&file);
    file.extend(&directory);
    file.extend([b"PK\x05\x06\x00\x00\x00\x00".as_slice(), &count, &count].concat());
    file.extend([length(&directory).to_le_bytes(), starts_at.to_le_bytes()].concat());
    file.extend([0; 2]);
    file
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap()
}
