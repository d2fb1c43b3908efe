//! Columns, aligned as Docker aligns them (Go's `text/tabwriter` with a minimum of 10 and a padding of 3).

use unicode_width::UnicodeWidthStr;

const MIN_WIDTH: usize = 10;
const PADDING: usize = 3;

/// Aligns the tab-separated cells of the lines. A cell's width is that of its column's widest cell in the lines around
/// it that have the column too; what stands after a line's last tab is in no column.
pub(super) fn align(text: &str) -> String {
    if let Some(widths) = common_widths(text) {
        return lay_out(text, &widths);
    }
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split('\t').collect()).collect();
    let widths = column_widths(&lines);
    let mut out = String::with_capacity(text.len() * 2);
    for (cells, widths) in lines.iter().zip(&widths) {
        for (cell, width) in cells.iter().zip(widths) {
            out.push_str(cell);
            out.extend(std::iter::repeat_n(' ', width - columns_of(cell)));
        }
        out.push_str(cells.last().copied().unwrap_or_default());
        out.push('\n');
    }
    out
}

/// The widths where all lines have the same columns, as most tables do: long ones are aligned quickly that way.
fn common_widths(text: &str) -> Option<Vec<usize>> {
    let columns = text.lines().next()?.split('\t').count() - 1;
    let mut widths = vec![MIN_WIDTH; columns];
    for line in text.lines() {
        let mut cells = line.split('\t');
        for width in &mut widths {
            *width = (*width).max(columns_of(cells.next()?) + PADDING);
        }
        // What stands last is in no column.
        if cells.next().is_none() || cells.next().is_some() {
            return None;
        }
    }
    Some(widths)
}

fn lay_out(text: &str, widths: &[usize]) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for line in text.lines() {
        let mut widths = widths.iter();
        for cell in line.split('\t') {
            out.push_str(cell);
            let padding = widths.next().map_or(0, |width| width - columns_of(cell));
            out.extend(std::iter::repeat_n(' ', padding));
        }
        out.push('\n');
    }
    out
}

/// For each line the widths of its tab-terminated cells.
fn column_widths(lines: &[Vec<&str>]) -> Vec<Vec<usize>> {
    let mut widths: Vec<Vec<usize>> = vec![Vec::new(); lines.len()];
    let columns = lines.iter().map(Vec::len).max().unwrap_or(1) - 1;
    for column in 0..columns {
        let mut start = 0;
        for block in lines.chunk_by(|a, b| has(a, column) == has(b, column)) {
            let cells = block.iter().filter(|line| has(line, column));
            let width = cells.map(|line| columns_of(line[column]) + PADDING).max().map(|widest| widest.max(MIN_WIDTH));
            widths[start..start + block.len()].iter_mut().for_each(|line| line.extend(width));
            start += block.len();
        }
    }
    widths
}

fn columns_of(cell: &str) -> usize {
    // Most cells, and quicker where there are very many.
    if cell.bytes().all(|b| matches!(b, b' '..=b'~')) { cell.len() } else { cell.width() }
}

fn has(line: &[&str], column: usize) -> bool {
    column + 1 < line.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aligns_as_docker_does() {
        let text = "REPOSITORY\tTAG\tIMAGE ID\tCREATED\tSIZE\n\
                    nginx\tlatest\t605c77e624dd\t4 years ago\t141MB\n\
                    <none>\t<none>\tfeb5d9fea6a5\t4 years ago\t13.3kB\n";
        let expected = "REPOSITORY   TAG       IMAGE ID       CREATED       SIZE\n\
                        nginx        latest    605c77e624dd   4 years ago   141MB\n\
                        <none>       <none>    feb5d9fea6a5   4 years ago   13.3kB\n";
        assert_eq!(align(text), expected);
    }

    #[test]
    fn counts_columns_not_characters() {
        assert_eq!(align("漢字漢字\tx\nabcdefgh\ty\n"), "漢字漢字   x\nabcdefgh   y\n");
        assert_eq!(align("e\u{301}\tx\n"), format!("e\u{301}{}x\n", " ".repeat(9)));
    }

    #[test]
    fn a_line_without_the_column_starts_a_new_block() {
        let text = "a-rather-long-cell\tx\nalone\nb\ty\n";
        assert_eq!(align(text), "a-rather-long-cell   x\nalone\nb         y\n");
        assert_eq!(align(""), "");
    }
}
