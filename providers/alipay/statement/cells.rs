//! A row's cells, and what `#` lines say.
//!
//! Invariant: a cell may stand in quotes, with commas and doubled quotes inside; a quote that does not close in its line
//! or closes in the middle of a cell is a fault, since the cells behind it would move. The TAB that guards numbers from
//! a spreadsheet is taken off; nothing else is.

use crate::shared::statement::figure::Figure;
use crate::shared::statement::line_fault;
use tongdao_core::provider::StatementFault;

/// Cuts a row. Doubled quotes inside of a quoted cell stay doubled: no cell that is read has any.
pub(super) fn cut(number: u64, line: &str) -> Result<Vec<&str>, StatementFault> {
    let mut cells = Vec::with_capacity(32);
    if !line.contains('"') {
        cells.extend(line.split(',').map(bare));
        return Ok(cells);
    }
    let mut rest = Some(line);
    while let Some(text) = rest {
        let (cell, after) = first(text).ok_or_else(|| line_fault(number, "a quote in the row does not close"))?;
        cells.push(bare(cell));
        rest = after;
    }
    Ok(cells)
}

/// The number behind a word, up to another word: `6` of `…合计：6笔` for `：` and `笔`.
pub(super) fn between(text: &str, before: &str, after: &str) -> Option<Figure> {
    let (_, rest) = text.split_once(before)?;
    let (figure, _) = rest.split_once(after)?;
    Figure::read(figure.trim())
}

/// What stands in the first brackets behind a word.
pub(super) fn in_brackets<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(word)?;
    let (_, rest) = rest.split_once('[')?;
    rest.split_once(']').map(|(inside, _)| inside)
}

fn bare(cell: &str) -> &str {
    cell.trim_matches('\t')
}

/// The first cell and what follows its comma; `None` where a quote does not close.
fn first(text: &str) -> Option<(&str, Option<&str>)> {
    let Some(quoted) = text.trim_start_matches('\t').strip_prefix('"') else {
        return Some(text.split_once(',').map_or((text, None), |(cell, after)| (cell, Some(after))));
    };
    let end = closing(quoted)?;
    let (cell, after) = (quoted.get(..end)?, quoted.get(end.checked_add(1)?..)?.trim_start_matches('\t'));
    match after.strip_prefix(',') {
        Some(after) => Some((cell, Some(after))),
        None => after.is_empty().then_some((cell, None)),
    }
}

/// Where the first quote stands that is not doubled.
fn closing(text: &str) -> Option<usize> {
    let mut quotes = text.match_indices('"').map(|(at, _)| at);
    while let Some(at) = quotes.next() {
        let is_doubled = text.get(at.checked_add(1)?..)?.starts_with('"');
        if !is_doubled {
            return Some(at);
        }
        quotes.next();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn cells_are_cut_bare_quoted_and_guarded() {
        let cut = |line| super::cut(1, line).unwrap();
        assert_eq!(cut("2019\t,a,,0.01\t"), ["2019", "a", "", "0.01"]);
        assert_eq!(cut("\"a,b\"\t,\"c\"\"d\",e"), ["a,b", "c\"\"d", "e"]);
        assert_eq!(cut("a\"b,c"), ["a\"b", "c"]);
        assert_eq!(cut("\"\",\"\""), ["", ""]);
        for bad in ["\"a,b", "\"a\"b,c", "a,\"", "\"\"\""] {
            assert!(super::cut(1, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn figures_and_brackets_are_found_in_comment_lines() {
        let footer = "#退款合计：4笔，商家实收退款共-0.04元，商家优惠退款共0.00元";
        assert_eq!(between(footer, "商家实收退款共", "元"), Figure::read("-0.04"));
        assert_eq!(between(footer, "：", "笔"), Figure::read("4"));
        assert_eq!(between(footer, "手续费", "元"), None);
        assert_eq!(in_brackets("#账号：[20880156]", "账号"), Some("20880156"));
        assert_eq!(in_brackets("#账号：20880156]", "账号"), None);
    }

    proptest! {
        #[test]
        fn quoted_cells_hold_whatever_they_hold(cells in proptest::collection::vec("[a,\"中]{0,6}", 1..6)) {
            let row: Vec<String> = cells.iter().map(|cell| format!("\"{}\"", cell.replace('"', "\"\""))).collect();
            let line = row.join(",");
            let cut: Vec<String> = cut(1, &line).unwrap().iter().map(|cell| cell.replace("\"\"", "\"")).collect();
            prop_assert_eq!(cut, cells);
        }

        #[test]
        fn no_line_makes_it_panic(line in "[\",\ta]{0,20}") {
            prop_assert_eq!(cut(1, &line).is_ok(), cut(1, &line).is_ok());
        }
    }
}
