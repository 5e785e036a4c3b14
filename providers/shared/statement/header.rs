//! Which cell of a row holds which column: by the column's name, since sets, orders and numbers of columns change.
//!
//! Invariant (fault 27): a wanted column that is missing or stands twice is a fault, and so is a row with more or
//! fewer cells than the header has. It knows no column's meaning.

use super::line_fault;
use tongdao_core::provider::StatementFault;

/// Columns by place, for `N` wanted names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header<const N: usize> {
    /// For each cell of a row, which wanted column it is.
    places: Vec<Option<usize>>,
}

/// The names that a wanted column goes by, and whether a file without it is refused.
pub(crate) struct Wanted {
    /// Current and older names; a file has one of them at most.
    pub(crate) names: &'static [&'static str],
    /// Whether a file must have it.
    pub(crate) required: bool,
}

impl<const N: usize> Header<N> {
    /// Finds the wanted columns among a header's cells.
    pub(crate) fn read<'a>(
        line: u64,
        cells: impl Iterator<Item = &'a str>,
        wanted: &[Wanted; N],
    ) -> Result<Self, StatementFault> {
        let places: Vec<Option<usize>> =
            cells.map(|cell| wanted.iter().position(|column| column.names.contains(&cell.trim()))).collect();
        for (place, column) in wanted.iter().enumerate() {
            let count = places.iter().filter(|found| **found == Some(place)).count();
            let name = column.names.first().copied().unwrap_or_default();
            match count {
                0 if column.required => return Err(line_fault(line, format!("there is no column {name}"))),
                0 | 1 => {}
                _ => return Err(line_fault(line, format!("the column {name} stands twice"))),
            }
        }
        Ok(Self { places })
    }

    /// How many cells a row has.
    pub(crate) fn width(&self) -> usize {
        self.places.len()
    }

    /// Whether the file has a wanted column.
    pub(crate) fn has(&self, column: usize) -> bool {
        self.places.contains(&Some(column))
    }

    /// The wanted cells of a row; an absent column's is empty.
    pub(crate) fn cut<'a>(
        &self,
        line: u64,
        cells: impl Iterator<Item = &'a str>,
    ) -> Result<[&'a str; N], StatementFault> {
        let mut cut = [""; N];
        let mut count = 0_usize;
        for cell in cells {
            if let Some(slot) = self.places.get(count).copied().flatten().and_then(|column| cut.get_mut(column)) {
                *slot = cell;
            }
            count = count.saturating_add(1);
        }
        if count == self.width() {
            return Ok(cut);
        }
        Err(line_fault(line, format!("the row has {count} cells and the header {}", self.width())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: [Wanted; 2] =
        [Wanted { names: &["a", "old a"], required: true }, Wanted { names: &["b"], required: false }];

    #[test]
    fn columns_are_found_by_any_of_their_names_wherever_they_stand() {
        let header = Header::read(1, ["x", " old a ", "b"].into_iter(), &WANTED).unwrap();
        assert_eq!(header.cut(2, ["1", "2", "3"].into_iter()), Ok(["2", "3"]));
        let header = Header::read(1, ["a"].into_iter(), &WANTED).unwrap();
        assert_eq!((header.cut(2, ["1"].into_iter()), header.has(1), header.has(0)), (Ok(["1", ""]), false, true));
    }

    #[test]
    fn a_missing_or_double_column_or_a_row_of_another_width_is_a_fault() {
        let fault = |cells: &[&'static str]| Header::read(1, cells.iter().copied(), &WANTED).is_err();
        assert!(fault(&["b"]) && fault(&["a", "old a"]) && fault(&["a", "b", "b"]) && fault(&[]));
        let header = Header::read(1, ["a", "b"].into_iter(), &WANTED).unwrap();
        assert!(header.cut(2, ["1"].into_iter()).is_err() && header.cut(2, ["1", "2", "3"].into_iter()).is_err());
    }
}
