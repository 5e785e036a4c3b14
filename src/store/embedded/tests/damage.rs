//! Damaged, cut and missing files: the index heals, the journal is refused.

use super::super::Damage;
use super::*;

async fn filled(count: usize) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    fill(&engine, count).await;
    engine.close().await;
    drop(engine);
    dir
}

/// Damages the index in some way; the store must open with everything all the same.
async fn index_heals(damage: impl FnOnce(&Path)) -> EmbeddedEngine {
    let dir = filled(120).await;
    damage(&dir.path().join("index"));
    let engine = open(dir.path());
    assert_filled(&engine, 120);
    commit(&engine, put("more", 1, b"x", Expect::Absent)).await.unwrap();
    drop(engine);
    let engine = open(dir.path());
    assert_eq!(engine.load(b"more"), Ok(Some(record(1, b"x"))));
    engine
}

#[tokio::test]
async fn a_deleted_index_is_made_anew() {
    let engine = index_heals(|index| std::fs::remove_dir_all(index).unwrap()).await;
    assert_eq!(engine.report().replayed, 0);
}

#[tokio::test]
async fn an_index_file_cut_anywhere_heals() {
    for part in [0, 1, 10, 40, 63] {
        index_heals(|index| edit(&index.join("db"), |bytes| bytes.truncate(bytes.len() * part / 64))).await;
    }
}

#[tokio::test]
async fn an_index_file_of_garbage_heals() {
    index_heals(|index| edit(&index.join("db"), |bytes| bytes.fill(0xA5))).await;
    index_heals(|index| std::fs::write(index.join("conf"), b"garbage").unwrap()).await;
}

#[tokio::test]
async fn flipped_bytes_anywhere_in_the_index_heal() {
    for at in [3, 5_000, 20_011, 40_000, 60_013] {
        index_heals(|index| {
            edit(&index.join("db"), |bytes| {
                let used = used_len(bytes);
                bytes[at % used] ^= 0xFF;
            });
        })
        .await;
    }
}

#[tokio::test]
async fn an_index_of_another_store_is_made_anew() {
    let (dir, other) = (filled(60).await, tempfile::tempdir().unwrap());
    let engine = open(other.path());
    commit(&engine, put("foreign", 1, b"x", Expect::Absent)).await.unwrap();
    engine.close().await;
    drop(engine);
    std::fs::remove_dir_all(dir.path().join("index")).unwrap();
    copy_dir(&other.path().join("index"), &dir.path().join("index"));
    let engine = open(dir.path());
    assert!(engine.report().quarantined.clone().unwrap().exists());
    assert_eq!(engine.load(b"foreign"), Ok(None));
    assert_filled(&engine, 60);
}

#[tokio::test]
async fn an_index_ahead_of_the_journal_is_refused() {
    let dir = filled(20).await;
    let old_journal = tempfile::tempdir().unwrap();
    copy_dir(&dir.path().join("journal"), old_journal.path());
    let engine = open(dir.path());
    commit(&engine, put("more", 1, b"x", Expect::Absent)).await.unwrap();
    engine.close().await;
    drop(engine);
    std::fs::remove_dir_all(dir.path().join("journal")).unwrap();
    copy_dir(old_journal.path(), &dir.path().join("journal"));
    let lost = |error| matches!(error, OpenError::JournalLost { journal_seq: 20, known_seq: 21 });
    assert!(lost(refusal(dir.path())));
    // The checkpoint alone knows it too.
    std::fs::remove_dir_all(dir.path().join("index")).unwrap();
    assert!(lost(refusal(dir.path())));
}

#[tokio::test]
async fn a_flipped_byte_anywhere_in_the_journal_is_refused_and_nothing_changes() {
    let dir = filled(40).await;
    let path = segments(dir.path()).remove(0);
    let used = used_len(&std::fs::read(&path).unwrap());
    for at in (0..used).step_by(97) {
        edit(&path, |bytes| bytes[at] ^= 0x10);
        let before = std::fs::read(&path).unwrap();
        let error = refusal(dir.path());
        assert!(
            matches!(error, OpenError::JournalDamaged { segment: 1, .. } | OpenError::NewerFormat { .. }),
            "{at}: {error}"
        );
        assert!(super::super::verify(dir.path()).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), before);
        edit(&path, |bytes| bytes[at] ^= 0x10);
    }
    assert_filled(&open(dir.path()), 40);
}

#[tokio::test]
async fn the_last_acknowledged_record_is_no_torn_tail() {
    let dir = filled(10).await;
    let path = segments(dir.path()).pop().unwrap();
    edit(&path, |bytes| {
        let last = used_len(bytes) - 1;
        bytes[last] ^= 1;
    });
    let error = refusal(dir.path());
    assert!(matches!(error, OpenError::JournalDamaged { seq: 10, damage: Damage::Record, .. }), "{error}");
}

#[tokio::test]
async fn a_missing_or_emptied_segment_is_refused() {
    let dir = filled(200).await;
    let paths = segments(dir.path());
    let kept = std::fs::read(&paths[1]).unwrap();
    std::fs::remove_file(&paths[1]).unwrap();
    assert!(matches!(refusal(dir.path()), OpenError::JournalDamaged { segment: 2, damage: Damage::Missing, .. }));
    std::fs::write(&paths[1], &kept[..kept.len() / 2]).unwrap();
    assert!(matches!(refusal(dir.path()), OpenError::JournalDamaged { segment: 2, .. }));
    std::fs::write(&paths[1], b"").unwrap();
    assert!(matches!(refusal(dir.path()), OpenError::JournalDamaged { segment: 2, damage: Damage::Header, .. }));
    std::fs::write(&paths[1], kept).unwrap();
    std::fs::remove_file(paths.last().unwrap()).unwrap();
    assert!(matches!(refusal(dir.path()), OpenError::JournalLost { .. }));
}

#[tokio::test]
async fn a_torn_record_behind_the_acknowledged_ones_is_cut_off() {
    let dir = filled(30).await;
    let whole = tempfile::tempdir().unwrap();
    copy_dir(dir.path(), whole.path());
    // What the next group would have looked like.
    let engine = open(dir.path());
    commit(&engine, put("torn", 1, &[9; 300], Expect::Absent)).await.unwrap();
    drop(engine);
    let written = std::fs::read(segments(dir.path()).pop().unwrap()).unwrap();
    let last = segments(whole.path()).pop().unwrap();
    let (start, end) = (used_len(&std::fs::read(&last).unwrap()), used_len(&written));
    for cut in [start + 1, start + 20, (start + end) / 2, end - 1] {
        let dir = tempfile::tempdir().unwrap();
        copy_dir(whole.path(), dir.path());
        edit(&segments(dir.path()).pop().unwrap(), |bytes| bytes[start..cut].copy_from_slice(&written[start..cut]));
        let engine = open(dir.path());
        assert!(engine.report().torn_bytes > 0);
        assert_filled(&engine, 30);
        commit(&engine, put("after", 1, b"x", Expect::Absent)).await.unwrap();
        drop(engine);
        let engine = open(dir.path());
        assert_eq!((engine.report().torn_bytes, engine.report().last_seq), (0, 31));
        assert_eq!(engine.load(b"after"), Ok(Some(record(1, b"x"))));
    }
}

#[tokio::test]
async fn a_file_cut_behind_its_last_record_is_whole() {
    let dir = filled(30).await;
    let last = segments(dir.path()).pop().unwrap();
    edit(&last, |bytes| bytes.truncate(used_len(bytes)));
    let engine = open(dir.path());
    assert_filled(&engine, 30);
    commit(&engine, put("after", 1, b"x", Expect::Absent)).await.unwrap();
    drop(engine);
    assert_eq!(open(dir.path()).load(b"after"), Ok(Some(record(1, b"x"))));
}

#[tokio::test]
async fn a_payload_that_poses_as_a_record_is_not_believed() {
    // A record of a far later group, as an attacker might send it in a callback's body.
    let mut forged = Vec::new();
    let place = super::super::record::Place { seq: 1000, group_first: 1000, before: [0; 32] };
    super::super::record::write_record(&mut forged, 0, place, |out| out.push(1));
    let dir = filled(5).await;
    edit(&segments(dir.path()).pop().unwrap(), |bytes| {
        let start = used_len(bytes);
        bytes[start..start + 4].copy_from_slice(b"TDR1");
        bytes[start + 100..start + 100 + forged.len()].copy_from_slice(&forged);
    });
    let engine = open(dir.path());
    assert!(engine.report().torn_bytes > 0);
    assert_filled(&engine, 5);
}

#[tokio::test]
async fn a_newer_format_is_refused_as_such() {
    let dir = filled(5).await;
    edit(&segments(dir.path()).remove(0), |bytes| bytes[7] = b'2');
    assert!(matches!(refusal(dir.path()), OpenError::NewerFormat { segment: 1 }));
}
