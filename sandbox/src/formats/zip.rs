//! A small ZIP container as the providers write it: deflated entries whose names are raw bytes without the UTF-8 flag,
//! which no library offers.
//!
//! `Deflated` compresses what is pushed and can end in a long run of one byte that costs nothing to make (a bomb).
//! Guards: sizes and checksums in both headers are the entry's own. Must not know: what an entry holds.

use std::io::Write;

use flate2::{Compress, Compression, Crc, FlushCompress};

const RUN: usize = 1 << 20;

/// A deflated content with its checksum and plain length.
#[derive(Debug)]
pub(crate) struct Deflated {
    pub(crate) bytes: Vec<u8>,
    pub(crate) crc: u32,
    pub(crate) plain_len: u32,
}

impl Deflated {
    /// Compresses a content.
    pub(crate) fn of(content: &[u8]) -> Self {
        Self::with_run(content, b' ', 0)
    }

    /// Compresses a content that ends in `mib` mebibytes of one byte, without ever holding them.
    pub(crate) fn with_run(content: &[u8], byte: u8, mib: u32) -> Self {
        let mut crc = Crc::new();
        crc.update(content);
        let mut compress = Compress::new(Compression::fast(), false);
        if mib == 0 {
            let bytes = squeezed(&mut compress, content, FlushCompress::Finish);
            return Self { bytes, crc: crc.sum(), plain_len: length(content.len()) };
        }
        let run = vec![byte; RUN];
        let mut run_crc = Crc::new();
        run_crc.update(&run);
        // After a full flush a block stands on its own at a byte boundary, so that it may be repeated.
        let mut bytes = squeezed(&mut compress, content, FlushCompress::Full);
        let block = squeezed(&mut Compress::new(Compression::best(), false), &run, FlushCompress::Full);
        for _ in 0..mib {
            bytes.extend_from_slice(&block);
            crc.combine(&run_crc);
        }
        bytes.extend_from_slice(&[0x03, 0x00]);
        let plain_len = length(content.len()).saturating_add(length(RUN).saturating_mul(mib));
        Self { bytes, crc: crc.sum(), plain_len }
    }

    /// The content as a gzip file.
    pub(crate) fn gzip(&self) -> Vec<u8> {
        let mut file = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
        file.extend_from_slice(&self.bytes);
        file.extend_from_slice(&self.crc.to_le_bytes());
        file.extend_from_slice(&self.plain_len.to_le_bytes());
        file
    }
}

/// An archive of entries, each a name in raw bytes and a content.
pub(crate) fn archive(entries: &[(Vec<u8>, Deflated)]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut directory = Vec::new();
    for (name, content) in entries {
        let offset = length(file.len());
        let shared = header(name, content);
        file.extend_from_slice(b"PK\x03\x04");
        file.extend_from_slice(&shared);
        file.extend_from_slice(name);
        file.extend_from_slice(&content.bytes);
        directory.extend_from_slice(b"PK\x01\x02\x14\x00");
        directory.extend_from_slice(&shared);
        // Comment, disk, internal and external attributes.
        directory.extend_from_slice(&[0; 10]);
        directory.extend_from_slice(&offset.to_le_bytes());
        directory.extend_from_slice(name);
    }
    let (count, start, size) = (short(entries.len()), length(file.len()), length(directory.len()));
    file.extend_from_slice(&directory);
    file.extend_from_slice(b"PK\x05\x06\x00\x00\x00\x00");
    file.extend_from_slice(&count.to_le_bytes());
    file.extend_from_slice(&count.to_le_bytes());
    file.extend_from_slice(&size.to_le_bytes());
    file.extend_from_slice(&start.to_le_bytes());
    file.extend_from_slice(&[0, 0]);
    file
}

/// A zlib stream of a content.
pub(crate) fn zlib(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), Compression::fast());
    let written = encoder.write_all(content).and_then(|()| encoder.finish());
    written.unwrap_or_default()
}

/// What the local header and the directory share: version 2.0, no flags, deflate, 1980-01-01, checksum, sizes, name length.
fn header(name: &[u8], content: &Deflated) -> Vec<u8> {
    let mut shared = vec![20, 0, 0, 0, 8, 0, 0, 0, 0x21, 0];
    shared.extend_from_slice(&content.crc.to_le_bytes());
    shared.extend_from_slice(&length(content.bytes.len()).to_le_bytes());
    shared.extend_from_slice(&content.plain_len.to_le_bytes());
    shared.extend_from_slice(&short(name.len()).to_le_bytes());
    shared.extend_from_slice(&[0, 0]);
    shared
}

fn squeezed(compress: &mut Compress, content: &[u8], flush: FlushCompress) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() / 4 + 4096);
    let mut read = 0;
    loop {
        out.reserve(4096 + content.len() / 16);
        let before = compress.total_in();
        let status = compress.compress_vec(content.get(read..).unwrap_or_default(), &mut out, flush);
        read = read.saturating_add(usize::try_from(compress.total_in() - before).unwrap_or(0));
        let ended = matches!(status, Ok(flate2::Status::StreamEnd) | Err(_));
        // A flush is complete when room was left.
        let flushed = flush == FlushCompress::Full && read >= content.len() && out.len() < out.capacity();
        if ended || flushed {
            return out;
        }
    }
}

fn length(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

fn short(len: usize) -> u16 {
    u16::try_from(len).unwrap_or(u16::MAX)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::io::Read;

    /// Reads an archive by its local headers alone: the names as bytes, the flags, the contents.
    pub(crate) fn opened(mut file: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut entries = Vec::new();
        while file.starts_with(b"PK\x03\x04") {
            let number = |at: usize, len: usize| {
                file[at..at + len].iter().rev().fold(0_usize, |sum, byte| sum * 256 + usize::from(*byte))
            };
            assert_eq!(number(6, 2), 0, "no flags");
            let (packed, plain, name_len) = (number(18, 4), number(22, 4), number(26, 2));
            let name = file[30..30 + name_len].to_vec();
            let mut content = Vec::new();
            let start = 30 + name_len;
            flate2::read::DeflateDecoder::new(&file[start..start + packed]).read_to_end(&mut content).unwrap();
            let mut crc = Crc::new();
            crc.update(&content);
            assert_eq!((content.len(), crc.sum().to_le_bytes().to_vec()), (plain, file[14..18].to_vec()));
            entries.push((name, content));
            file = &file[start + packed..];
        }
        assert!(file.starts_with(b"PK\x01\x02") && file[..file.len() - 18].ends_with(b"PK\x05\x06"));
        entries
    }

    #[test]
    fn an_archive_opens_with_its_names_as_raw_bytes() {
        let long: Vec<u8> = (0..300_000_u32).flat_map(|n| (n % 977).to_le_bytes()).collect();
        let file =
            archive(&[(b"\xc3\xf7\xcf\xb8.csv".to_vec(), Deflated::of(&long)), (b"empty".to_vec(), Deflated::of(b""))]);
        assert_eq!(opened(&file), vec![(b"\xc3\xf7\xcf\xb8.csv".to_vec(), long), (b"empty".to_vec(), Vec::new())]);
    }

    #[test]
    fn a_run_is_long_when_it_is_opened_and_short_before() {
        let bomb = Deflated::with_run(b"head\r\n", b'#', 3);
        assert!(bomb.bytes.len() < 16_384, "{}", bomb.bytes.len());
        let mut gunzipped = Vec::new();
        flate2::read::GzDecoder::new(bomb.gzip().as_slice()).read_to_end(&mut gunzipped).unwrap();
        assert_eq!((gunzipped.len(), bomb.plain_len), (6 + 3 * RUN, 6 + 3 * (1 << 20)));
        assert!(gunzipped.starts_with(b"head\r\n##") && gunzipped.ends_with(b"##"));
        opened(&archive(&[(b"bomb".to_vec(), bomb)]));
    }
}
