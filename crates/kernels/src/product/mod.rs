//! Small dense products whose bits depend on nothing but the operands.
//!
//! Every element of `C` is one multiply-add chain over `k` in increasing order, begun at zero or at the
//! element's present value. Tiles, edges and threads only decide which elements are computed together, so a
//! product over part of the rows, columns or steps equals the same part of the whole product bit for bit.
//!
//! Call [`Packed::product`] and [`accumulate_outer`] inside another kernel, with that kernel's arithmetic.

mod tile;

use crate::isa::Arith;
use crate::plumbing::room;
use crate::real::Real;
use tile::tile;

/// Columns of a panel: four registers of `f32` with AVX2, two with AVX-512.
const COLUMNS: usize = 32;
/// Depth of a block: 8 rows of `A` and one panel of `B` stay in the nearest cache.
const DEPTH: usize = 256;
/// Rows of a block.
const ROWS: usize = 128;

/// A matrix inside a slice: element `(i, j)` stands at `i · row + j · column`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matrix<'a, T> {
    values: &'a [T],
    row: usize,
    column: usize,
}

impl<'a, T: Real> Matrix<'a, T> {
    /// Rows that begin every `stride` elements; `stride` may exceed the width, for sub-blocks.
    #[inline(always)]
    pub(crate) fn new(values: &'a [T], stride: usize) -> Self {
        Matrix { values, row: stride, column: 1 }
    }

    /// The same values read as the transposed matrix: weights `[out, in]` become `[in, out]`.
    #[inline(always)]
    pub(crate) fn transposed(self) -> Self {
        Matrix { values: self.values, row: self.column, column: self.row }
    }

    /// The matrix without its first `rows` rows and `columns` columns.
    #[inline(always)]
    pub(crate) fn from(self, rows: usize, columns: usize) -> Self {
        let skipped = (rows * self.row + columns * self.column).min(self.values.len());
        Matrix { values: &self.values[skipped..], ..self }
    }
}

/// Where the chain of each output element begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// `C = A · B`.
    Zero,
    /// `C = C + A · B`.
    Existing,
}

/// A right-hand side `B[k, n]` laid out for repeated products, such as recurrent weights over time.
#[derive(Clone, Debug)]
pub(crate) struct Packed<T> {
    panels: Vec<T>,
    k: usize,
    n: usize,
}

impl<T: Real> Packed<T> {
    /// Lays out `B[k, n]`.
    pub(crate) fn new(b: Matrix<'_, T>, k: usize, n: usize) -> Self {
        let width = n.div_ceil(COLUMNS) * COLUMNS;
        let mut panels = vec![T::ZERO; width * k];
        for first in (0..k).step_by(DEPTH) {
            let depth = DEPTH.min(k - first);
            pack_block(&mut panels[first * width..][..depth * width], depth, n, b.from(first, 0));
        }
        Packed { panels, k, n }
    }

    /// `C[m, n] (+)= A[m, k] · B` on this thread, without allocating.
    #[inline(always)]
    pub(crate) fn product<A: Arith>(
        &self,
        c: &mut [T],
        c_stride: usize,
        m: usize,
        a: Matrix<'_, T>,
        start: Start,
    ) {
        self.product_beside::<A>(c, c_stride, m, a, start, &mut || ());
    }

    /// [`Packed::product`] that calls `beside` once a tile: to fetch what is needed next while it computes.
    #[inline(always)]
    pub(crate) fn product_beside<A: Arith>(
        &self,
        c: &mut [T],
        c_stride: usize,
        m: usize,
        a: Matrix<'_, T>,
        start: Start,
        beside: &mut impl FnMut(),
    ) {
        if self.k == 0 {
            begin(c, c_stride, m, self.n, start);
        }
        let width = self.n.div_ceil(COLUMNS) * COLUMNS;
        // A block of rows stays in the second-level cache while it meets one panel after another.
        for top in (0..m).step_by(ROWS) {
            let (rows, a) = (ROWS.min(m - top), a.from(top, 0));
            let c = &mut c[top * c_stride..];
            for first in (0..self.k).step_by(DEPTH) {
                let depth = DEPTH.min(self.k - first);
                let panels = &self.panels[first * width..][..depth * width];
                let start = if first == 0 { start } else { Start::Existing };
                block::<A, T>(c, c_stride, [rows, self.n, depth], a.from(0, first), panels, start, beside);
            }
        }
    }
}

/// Values between the rows of an operand of [`accumulate_outer`] and its width: rows that are powers of two
/// apart would evict one another from the nearest cache, and the last panel of columns reads so far.
pub(crate) const PAD: usize = 16;

/// Room for so many rows of an operand of [`accumulate_outer`], of which the caller writes all but the padding.
pub(crate) fn padded<T: Real>(rows: usize, width: usize) -> Vec<T> {
    let mut values = room(rows * (width + PAD));
    for row in values.chunks_exact_mut(width + PAD) {
        row[width..].fill(T::ZERO);
    }
    values
}

/// `C[m, n] += Aᵀ · B` for A `[depth, m]`, whose rows begin every `a_stride` values, and B `[depth, n]`, whose rows are
/// [`PAD`] values longer than they are wide, on this thread: the weight gradient of some rows. Both are read where they
/// stand, so a depth of
/// about 128 keeps a strip of one and a panel of the other in the nearest cache.
#[inline(always)]
pub(crate) fn accumulate_outer<A: Arith, T: Real>(
    c: &mut [T],
    shape: [usize; 3],
    a: &[T],
    a_stride: usize,
    b: &[T],
) {
    accumulate_outer_beside::<A, T>(c, shape, a, a_stride, b, &mut || ());
}

/// [`accumulate_outer`] that calls `beside` once a tile.
#[inline(always)]
pub(crate) fn accumulate_outer_beside<A: Arith, T: Real>(
    c: &mut [T],
    [m, n, depth]: [usize; 3],
    a: &[T],
    a_stride: usize,
    b: &[T],
    beside: &mut impl FnMut(),
) {
    let a = Matrix { values: a, row: 1, column: a_stride };
    for left in (0..n).step_by(COLUMNS) {
        let shape = [m, COLUMNS.min(n - left), depth];
        panel_beside::<A, T>(&mut c[left..], n, shape, a, &b[left..], n + PAD, Start::Existing, beside);
    }
}

/// What a product over nothing leaves.
#[inline(always)]
fn begin<T: Real>(c: &mut [T], c_stride: usize, m: usize, n: usize, start: Start) {
    if start == Start::Zero {
        for i in 0..m {
            c[i * c_stride..][..n].fill(T::ZERO);
        }
    }
}

/// Panels of 32 columns, each `[depth, 32]`, the last one padded with zeros.
#[inline(always)]
fn pack_block<T: Real>(panels: &mut [T], depth: usize, n: usize, b: Matrix<'_, T>) {
    for (panel, into) in panels.chunks_exact_mut(depth * COLUMNS).enumerate() {
        let width = COLUMNS.min(n - panel * COLUMNS);
        let b = b.from(0, panel * COLUMNS);
        if b.column == 1 {
            for (p, into) in into.chunks_exact_mut(COLUMNS).enumerate() {
                into[..width].copy_from_slice(&b.values[p * b.row..][..width]);
                into[width..].fill(T::ZERO);
            }
        } else {
            for j in 0..width {
                let column = b.values[j * b.column..].iter().step_by(b.row.max(1));
                for (into, value) in into[j..].iter_mut().step_by(COLUMNS).zip(column) {
                    *into = *value;
                }
            }
            for into in into.chunks_exact_mut(COLUMNS) {
                into[width..].fill(T::ZERO);
            }
        }
    }
}

/// One block of the depth: all rows of `A` against all panels.
#[inline(always)]
fn block<A: Arith, T: Real>(
    c: &mut [T],
    c_stride: usize,
    [m, n, depth]: [usize; 3],
    a: Matrix<'_, T>,
    panels: &[T],
    start: Start,
    beside: &mut impl FnMut(),
) {
    let existing = start == Start::Existing;
    let mut first = 0;
    // One row alone waits for each multiply-add; two panels at once fill the gap.
    while m == 1 && n - first >= 2 * COLUMNS {
        let b = &panels[first * depth..];
        beside();
        tile::<A, T, 1, 2, COLUMNS>(&mut c[first..], c_stride, a, b, COLUMNS, depth, existing);
        first += 2 * COLUMNS;
    }
    while first < n {
        let shape = [m, COLUMNS.min(n - first), depth];
        let panel = &panels[first * depth..];
        panel_beside::<A, T>(&mut c[first..], c_stride, shape, a, panel, COLUMNS, start, beside);
        first += COLUMNS;
    }
}

/// `C[m, n] (+)= A[m, k] · B[k, n]` for n up to 32, read where they stand. Rows of `b` begin every `b_stride`
/// values and can be read to the next of 8, 16 and 32 columns, whatever stands there.
#[inline(always)]
pub(crate) fn panel<A: Arith, T: Real>(
    c: &mut [T],
    c_stride: usize,
    shape: [usize; 3],
    a: Matrix<'_, T>,
    b: &[T],
    b_stride: usize,
    start: Start,
) {
    panel_beside::<A, T>(c, c_stride, shape, a, b, b_stride, start, &mut || ());
}

#[inline(always)]
fn panel_beside<A: Arith, T: Real>(
    c: &mut [T],
    c_stride: usize,
    shape: [usize; 3],
    a: Matrix<'_, T>,
    b: &[T],
    b_stride: usize,
    start: Start,
    beside: &mut impl FnMut(),
) {
    let [m, n, k] = shape;
    if k == 0 {
        return begin(c, c_stride, m, n, start);
    }
    match n {
        0..=8 => strips::<A, T, 8>(c, c_stride, shape, a, b, b_stride, start, beside),
        9..=16 => strips::<A, T, 16>(c, c_stride, shape, a, b, b_stride, start, beside),
        _ => strips::<A, T, 32>(c, c_stride, shape, a, b, b_stride, start, beside),
    }
}

/// [`panel`] with the number of columns it is computed with: as many rows at once as there are registers.
#[inline(always)]
fn strips<A: Arith, T: Real, const W: usize>(
    c: &mut [T],
    c_stride: usize,
    [m, n, depth]: [usize; 3],
    a: Matrix<'_, T>,
    b: &[T],
    b_stride: usize,
    start: Start,
    beside: &mut impl FnMut(),
) {
    // A tile has the same number of bytes in either precision.
    let most = A::TILE_ROWS * 4 * COLUMNS / (size_of::<T>() * W);
    let mut first = 0;
    while first < m {
        let left = m - first;
        beside();
        let (c, a, shape) = (&mut c[first * c_stride..], a.from(first, 0), [n, depth]);
        first += if W == 16 && most >= 16 && left >= 16 {
            strip::<A, T, 16, W>(c, c_stride, shape, a, b, b_stride, start)
        } else if most >= 8 && left >= 8 {
            strip::<A, T, 8, W>(c, c_stride, shape, a, b, b_stride, start)
        } else if most >= 4 && left >= 4 {
            strip::<A, T, 4, W>(c, c_stride, shape, a, b, b_stride, start)
        } else if most >= 2 && left >= 2 {
            strip::<A, T, 2, W>(c, c_stride, shape, a, b, b_stride, start)
        } else {
            strip::<A, T, 1, W>(c, c_stride, shape, a, b, b_stride, start)
        };
    }
}

/// `R` rows. Returns `R`.
#[inline(always)]
fn strip<A: Arith, T: Real, const R: usize, const W: usize>(
    c: &mut [T],
    c_stride: usize,
    [n, depth]: [usize; 2],
    a: Matrix<'_, T>,
    b: &[T],
    b_stride: usize,
    start: Start,
) -> usize {
    let existing = start == Start::Existing;
    if n == W {
        tile::<A, T, R, 1, W>(c, c_stride, a, b, b_stride, depth, existing);
        return R;
    }
    let mut edge = [[T::ZERO; W]; R];
    for i in 0..R {
        edge[i][..n].copy_from_slice(&c[i * c_stride..][..n]);
    }
    tile::<A, T, R, 1, W>(edge.as_flattened_mut(), W, a, b, b_stride, depth, existing);
    for i in 0..R {
        c[i * c_stride..][..n].copy_from_slice(&edge[i][..n]);
    }
    R
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::{Isa, Kernel, dispatch_on};

    fn values<T: Real>(seed: u64, count: usize) -> Vec<T> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            T::of((state >> 40) as f64 / (1u64 << 23) as f64 - 1.0)
        };
        (0..count).map(|_| next()).collect()
    }

    /// The chain the module promises, element by element.
    struct Chain<'a, T>(&'a mut [T], [usize; 3], &'a [T], &'a [T], Start);
    impl<T: Real> Kernel for Chain<'_, T> {
        type Output = ();
        #[inline(always)]
        fn run<A: Arith>(self) {
            let Chain(c, [m, n, k], a, b, start) = self;
            for i in 0..m {
                for j in 0..n {
                    let from = if start == Start::Zero { T::ZERO } else { c[i * n + j] };
                    c[i * n + j] = (0..k).fold(from, |sum, p| A::fma(a[i * k + p], b[p * n + j], sum));
                }
            }
        }
    }

    fn transpose<T: Real>(a: &[T], rows: usize, columns: usize) -> Vec<T> {
        (0..rows * columns).map(|at| a[at % rows * columns + at / rows]).collect()
    }

    fn every_layout_is_the_chain<T: Real + std::fmt::Debug>() {
        let shapes = [[1, 1, 1], [3, 5, 7], [17, 33, 13], [8, 32, 256], [5, 70, 521], [23, 64, 1], [2, 3, 0]];
        for ([m, n, k], start) in shapes.into_iter().flat_map(|s| [(s, Start::Zero), (s, Start::Existing)]) {
            let (a, b, c) = (values::<T>(1, m * k), values::<T>(2, k * n), values::<T>(3, m * n));
            let (at, bt) = (transpose(&a, m, k), transpose(&b, k, n));
            for isa in Isa::available() {
                let mut want = c.clone();
                dispatch_on(isa, Chain(&mut want, [m, n, k], &a, &b, start));
                let a_forms = [Matrix::new(&a, k), Matrix::new(&at, m).transposed()];
                let b_forms = [Matrix::new(&b, n), Matrix::new(&bt, k).transposed()];
                for (a, b) in a_forms.into_iter().flat_map(|a| b_forms.map(|b| (a, b))) {
                    let mut got = c.clone();
                    dispatch_on(isa, WithPacked(&mut got, n, m, a, &Packed::new(b, k, n), start));
                    assert_eq!(got, want, "packed {m} {n} {k} {start:?} {}", isa.name());
                }
            }
        }
    }

    struct WithPacked<'a, T>(&'a mut [T], usize, usize, Matrix<'a, T>, &'a Packed<T>, Start);
    impl<T: Real> Kernel for WithPacked<'_, T> {
        type Output = ();
        #[inline(always)]
        fn run<A: Arith>(self) {
            self.4.product::<A>(self.0, self.1, self.2, self.3, self.5);
        }
    }

    #[test]
    fn every_layout_is_one_chain_in_single_precision() {
        every_layout_is_the_chain::<f32>();
    }

    #[test]
    fn every_layout_is_one_chain_in_double_precision() {
        every_layout_is_the_chain::<f64>();
    }

    #[test]
    fn sub_blocks_leave_their_surroundings_alone() {
        let (a, b) = (values::<f64>(1, 6 * 9), values::<f64>(2, 5 * 40));
        let mut c = vec![7.0; 6 * 50];
        let packed = Packed::new(Matrix::new(&b, 40), 5, 40);
        for isa in Isa::available() {
            let a = Matrix::new(&a, 9).from(0, 2);
            dispatch_on(isa, WithPacked(&mut c[3..], 50, 6, a, &packed, Start::Zero));
        }
        for (at, value) in c.iter().enumerate() {
            let (i, j) = (at / 50, at % 50);
            if (3..43).contains(&j) {
                let want: f64 = (0..5).map(|p| a[i * 9 + 2 + p] * b[p * 40 + j - 3]).sum();
                assert!((value - want).abs() < 1e-12);
            } else {
                assert_eq!(*value, 7.0, "row {i}, column {j}");
            }
        }
    }

    struct Outer<'a, T>(&'a mut [T], [usize; 3], &'a [T], &'a [T]);
    impl<T: Real> Kernel for Outer<'_, T> {
        type Output = ();
        #[inline(always)]
        fn run<A: Arith>(self) {
            accumulate_outer::<A, T>(self.0, self.1, self.2, self.1[0] + PAD, self.3);
        }
    }

    /// Rows of `width` values, [`PAD`] values of rubbish after each.
    fn padded(values: &[f32], width: usize) -> Vec<f32> {
        values.chunks_exact(width).flat_map(|row| row.iter().copied().chain([f32::NAN; PAD])).collect()
    }

    #[test]
    fn an_outer_product_is_one_chain_and_reads_no_padding_into_it() {
        for [m, n, depth] in [[1, 1, 1], [3, 5, 7], [17, 33, 13], [8, 32, 128], [5, 70, 2], [100, 17, 63]] {
            let (a, b) = (values::<f32>(1, depth * m), values::<f32>(2, depth * n));
            let c = values::<f32>(3, m * n);
            let transposed = transpose(&a, depth, m);
            for isa in Isa::available() {
                let mut want = c.clone();
                dispatch_on(isa, Chain(&mut want, [m, n, depth], &transposed, &b, Start::Existing));
                let mut got = c.clone();
                dispatch_on(isa, Outer(&mut got, [m, n, depth], &padded(&a, m), &padded(&b, n)));
                assert_eq!(got, want, "{m} {n} {depth} {}", isa.name());
            }
        }
    }
}
