/* The streaming inverter for one hop, as reference.py explains it, without memory of its own: every
 * array belongs to the caller, so that nothing is allocated, locked or freed while sound plays.
 *
 * Rows hold `row` floats each: the bins, then zeros up to a whole number of vectors.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GLIBC__) && __GNUC__ >= 12 && !defined(__clang__)
/* Compiled for each of these processors; the loader takes what the machine can run. */
#define FOR_EVERY_CPU \
    __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FOR_EVERY_CPU
#endif
#define INLINE static inline __attribute__((always_inline))

/* The fields of `_Struct` in compiled.py, in its order. */
typedef struct {
    int32_t n_fft, hop, bins, row, frames, span, n_mels, updates, iterations;
    float momentum, rise, lead, floor, tiny, slope, delay, whole;
    const int32_t *first, *last;            /* (n_mels): bins of each band, last excluded */
    const int32_t *offset;                  /* (n_mels): where a band begins in `weights` */
    const float *weights;                   /* the filter bank without its zeros */
    const float *cover;                     /* (row): one over the sum of each bin's weights */
    const float *inverse;                   /* (n_mels, row): pseudo-inverse, transposed */
    const float *window, *synthesis, *gain; /* (n_fft), (n_fft) over n_fft, (span) */
    const float *turn;                      /* (row): turns of a bin's centre in a hop, modulo 1 */
    const float *root_re, *root_im;         /* (3, n_fft / 4): exp(-2 pi i j k / n_fft) */
    float *mel, *start;                     /* (frames, n_mels), (frames, row) */
    float *phasor_re, *phasor_im;           /* (frames, row) */
    float *spectrum_re, *spectrum_im;       /* (frames, row) */
    float *before_re, *before_im, *power;   /* (frames, row) */
    float *log_before, *log_now, *reached;  /* (row) */
    float *along_re, *along_im;             /* (row): from the frame before to this one */
    float *across_re, *across_im;           /* (row): from the bin below to this one */
    float *band, *ratio;                    /* (n_mels) */
    float *bins_a, *bins_b;                 /* (row) */
    float *past, *signal;                   /* (span) */
    float *x_re, *x_im, *y_re, *y_im;       /* (n_fft) */
} stream_t;

int64_t ytm_stream_bytes(void) { return (int64_t)sizeof(stream_t); }

/* ---- elementary functions, written so that the compiler can use vectors ---- */

/* Natural logarithm of x > 0, to 1e-6: exponent, and an odd series in (m - 1) / (m + 1). */
INLINE float logarithm(float x)
{
    union { float f; int32_t i; } bits = {x};
    int32_t shifted = bits.i - 0x3f3504f3;
    float exponent = (float)(shifted >> 23), t, t2;
    bits.i = (shifted & 0x007fffff) + 0x3f3504f3;
    t = (bits.f - 1.0f) / (bits.f + 1.0f);
    t2 = t * t;
    return exponent * 0.69314718f +
           t * (2.0f + t2 * (0.66666667f + t2 * (0.4f + t2 * (0.28571429f + t2 * 0.22222222f))));
}

/* Cosine and sine of 2 pi x, to 1e-6: Taylor series in a quarter turn either way. */
INLINE void turned(float x, float *cosine, float *sine)
{
    float whole = rintf(2.0f * x), part = (x - 0.5f * whole) * 6.28318531f, z = part * part;
    float sign = ((int32_t)whole & 1) ? -1.0f : 1.0f;
    *sine = sign * part *
            (1.0f + z * (-1.66666667e-1f + z * (8.33333333e-3f + z * (-1.98412698e-4f +
             z * (2.75573192e-6f + z * -2.50521084e-8f)))));
    *cosine = sign * (1.0f + z * (-0.5f + z * (4.16666667e-2f + z * (-1.38888889e-3f +
              z * (2.48015873e-5f + z * (-2.75573192e-7f + z * 2.08767570e-9f))))));
}

/* ---- Fourier transform: Stockham's, radix 4 ---- */

/* A butterfly of four values, turned by w1, w2, w3; the results are named out0 to out3. */
#define BUTTERFLY(r0, i0, r1, i1, r2, i2, r3, i3)                                      \
    float sr = r0 + r2, si = i0 + i2, dr = r0 - r2, di = i0 - i2;                      \
    float tr = r1 + r3, ti = i1 + i3, er = r1 - r3, ei = i1 - i3;                      \
    float ur = dr + ei, ui = di - er, vr = dr - ei, vi = di + er;                      \
    float xr = sr - tr, xi = si - ti;                                                  \
    float out0r = sr + tr, out0i = si + ti;                                            \
    float out1r = ur * w1r - ui * w1i, out1i = ur * w1i + ui * w1r;                    \
    float out2r = xr * w2r - xi * w2i, out2i = xr * w2i + xi * w2r;                    \
    float out3r = vr * w3r - vi * w3i, out3i = vr * w3i + vi * w3r

/* The first pass, over one transform: neighbours are different turns. */
INLINE void first_pass(const stream_t *s, const float *restrict ar, const float *restrict ai,
                       float *restrict br, float *restrict bi)
{
    int quarter = s->n_fft / 4;
    const float *wr = s->root_re, *wi = s->root_im;
    for (int p = 0; p < quarter; p++) {
        float w1r = wr[p], w1i = wi[p], w2r = wr[p + quarter], w2i = wi[p + quarter];
        float w3r = wr[p + 2 * quarter], w3i = wi[p + 2 * quarter];
        BUTTERFLY(ar[p], ai[p], ar[p + quarter], ai[p + quarter], ar[p + 2 * quarter],
                  ai[p + 2 * quarter], ar[p + 3 * quarter], ai[p + 3 * quarter]);
        br[4 * p] = out0r, br[4 * p + 1] = out1r, br[4 * p + 2] = out2r, br[4 * p + 3] = out3r;
        bi[4 * p] = out0i, bi[4 * p + 1] = out1i, bi[4 * p + 2] = out2i, bi[4 * p + 3] = out3i;
    }
}

/* A later pass, over `lanes` interleaved transforms of length n: neighbours turn alike. */
INLINE void later_pass(const stream_t *s, int n, int lanes, const float *restrict ar,
                       const float *restrict ai, float *restrict br, float *restrict bi)
{
    int quarter = n / 4, all = s->n_fft / 4, from = lanes * quarter;
    for (int p = 0; p < quarter; p++) {
        const float *wr = s->root_re + p * lanes, *wi = s->root_im + p * lanes;
        float w1r = wr[0], w1i = wi[0], w2r = wr[all], w2i = wi[all];
        float w3r = wr[2 * all], w3i = wi[2 * all];
        const float *xr_ = ar + lanes * p, *xi_ = ai + lanes * p;
        float *yr_ = br + lanes * 4 * p, *yi_ = bi + lanes * 4 * p;
        for (int q = 0; q < lanes; q++) {
            BUTTERFLY(xr_[q], xi_[q], xr_[q + from], xi_[q + from], xr_[q + 2 * from],
                      xi_[q + 2 * from], xr_[q + 3 * from], xi_[q + 3 * from]);
            yr_[q] = out0r, yr_[q + lanes] = out1r;
            yr_[q + 2 * lanes] = out2r, yr_[q + 3 * lanes] = out3r;
            yi_[q] = out0i, yi_[q + lanes] = out1i;
            yi_[q + 2 * lanes] = out2i, yi_[q + 3 * lanes] = out3i;
        }
    }
}

/* What is left if n_fft is not a power of four. */
INLINE void pass_of_two(int lanes, const float *restrict ar, const float *restrict ai,
                        float *restrict br, float *restrict bi)
{
    for (int q = 0; q < lanes; q++) {
        br[q] = ar[q] + ar[q + lanes], bi[q] = ai[q] + ai[q + lanes];
        br[q + lanes] = ar[q] - ar[q + lanes], bi[q + lanes] = ai[q] - ai[q + lanes];
    }
}

INLINE void exchange(float **a, float **b)
{
    float *kept = *a;
    *a = *b;
    *b = kept;
}

/* The passes that begin with `lanes`, a constant in each call, which makes them fast. */
INLINE int pass_if_left(const stream_t *s, int n, int lanes, float **re, float **im, float **re2,
                        float **im2)
{
    if (n < 2)
        return n;
    if (n == 2)
        pass_of_two(lanes, *re, *im, *re2, *im2);
    else
        later_pass(s, n, lanes, *re, *im, *re2, *im2);
    exchange(re, re2);
    exchange(im, im2);
    return n / 4;
}

/* exp(-i) transform of (*re, *im), n_fft values, in natural order; (*re2, *im2) is scratch. The
 * pointers change places, so that the first pair points to the result. */
INLINE void transform(const stream_t *s, float **re, float **im, float **re2, float **im2)
{
    int n = s->n_fft / 4;
    first_pass(s, *re, *im, *re2, *im2);
    exchange(re, re2);
    exchange(im, im2);
    n = pass_if_left(s, n, 4, re, im, re2, im2);
    n = pass_if_left(s, n, 16, re, im, re2, im2);
    n = pass_if_left(s, n, 64, re, im, re2, im2);
    n = pass_if_left(s, n, 256, re, im, re2, im2);
    n = pass_if_left(s, n, 1024, re, im, re2, im2);
    pass_if_left(s, n, 4096, re, im, re2, im2);
}

/* ---- the steps of a hop ---- */

/* Windowed frame `frame`, and the one after it if there is one, added to `signal`: two real
 * signals are the real and the imaginary part of one transform. */
INLINE void add_pieces(stream_t *s, int frame, int both, float *signal)
{
    int half = s->n_fft / 2;
    const float *restrict ar = s->spectrum_re + frame * s->row;
    const float *restrict ai = s->spectrum_im + frame * s->row;
    const float *restrict br = ar + (both ? s->row : 0), *restrict bi = ai + (both ? s->row : 0);
    float two = both ? 1.0f : 0.0f;
    float *zr = s->x_re, *zi = s->x_im, *yr = s->y_re, *yi = s->y_im;
    float *restrict to_re = zr, *restrict to_im = zi;
    for (int k = 1; k < half; k++) {
        to_re[k] = ar[k] - two * bi[k];
        to_im[k] = ai[k] + two * br[k];
    }
    for (int k = half + 1, from = half - 1; from > 0; k++, from--) {
        to_re[k] = ar[from] + two * bi[from];
        to_im[k] = two * br[from] - ai[from];
    }
    /* A real signal has real values at both ends of its spectrum. */
    zr[0] = ar[0], zi[0] = two * br[0], zr[half] = ar[half], zi[half] = two * br[half];
    /* The inverse is the transform with real and imaginary parts exchanged. */
    exchange(&zr, &zi);
    exchange(&yr, &yi);
    transform(s, &zr, &zi, &yr, &yi);
    float *restrict first = signal + frame * s->hop;
    for (int k = 0; k < s->n_fft; k++)
        first[k] += zi[k] * s->synthesis[k];
    if (both) {
        float *restrict second = first + s->hop;
        for (int k = 0; k < s->n_fft; k++)
            second[k] += zr[k] * s->synthesis[k];
    }
}

/* The spectrum of one of two real signals that were transformed together. */
INLINE void part(const float *restrict own, const float *restrict other, int n, float sign,
                 float *restrict re, float *restrict im)
{
    int half = n / 2;
    re[0] = own[0], im[0] = 0, re[half] = own[half], im[half] = 0;
    for (int k = 1; k < half; k++) {
        re[k] = 0.5f * (own[k] + own[n - k]);
        im[k] = sign * 0.5f * (other[k] - other[n - k]);
    }
}

/* Spectra of `signal` under frames `frame` and, if there is one, the next. */
INLINE void analyse(stream_t *s, int frame, int both)
{
    int n = s->n_fft, next = both ? s->hop : 0;
    float *zr = s->x_re, *zi = s->x_im, *yr = s->y_re, *yi = s->y_im;
    const float *signal = s->signal + frame * s->hop;
    for (int k = 0; k < n; k++) {
        zr[k] = signal[k] * s->window[k];
        zi[k] = signal[k + next] * s->window[k];
    }
    transform(s, &zr, &zi, &yr, &yi);
    part(zr, zi, n, 1.0f, s->spectrum_re + frame * s->row, s->spectrum_im + frame * s->row);
    if (both) {
        frame++;
        part(zi, zr, n, -1.0f, s->spectrum_re + frame * s->row, s->spectrum_im + frame * s->row);
    }
}

/* band[m] = sum of weights * power over the bins of each band. */
INLINE void gather(const stream_t *s, const float *power, float *band)
{
    for (int m = 0; m < s->n_mels; m++) {
        const float *weights = s->weights + s->offset[m], *under = power + s->first[m];
        int width = s->last[m] - s->first[m];
        float sum = 0;
        for (int k = 0; k < width; k++)
            sum += weights[k] * under[k];
        band[m] = sum;
    }
}

/* bins[k] = sum of weights * value over the bands of each bin. */
INLINE void scatter(const stream_t *s, const float *value, float *bins)
{
    memset(bins, 0, sizeof(float) * (size_t)s->row);
    for (int m = 0; m < s->n_mels; m++) {
        const float *restrict weights = s->weights + s->offset[m];
        float *restrict under = bins + s->first[m];
        int width = s->last[m] - s->first[m];
        for (int k = 0; k < width; k++)
            under[k] += weights[k] * value[m];
    }
}

/* Mel power -> a first linear magnitude. */
INLINE void linear(stream_t *s, const float *restrict power, float *restrict start)
{
    float *restrict wanted = s->bins_a, *restrict found = s->bins_b;
    int row = s->row, m = 0;
    memset(start, 0, sizeof(float) * (size_t)row);
    /* Four at once, since this waits for memory. */
    for (; m + 4 <= s->n_mels; m += 4) {
        const float *restrict inverse = s->inverse + m * row;
        float a = power[m], b = power[m + 1], c = power[m + 2], d = power[m + 3];
        for (int k = 0; k < row; k++)
            start[k] += inverse[k] * a + inverse[k + row] * b + inverse[k + 2 * row] * c +
                        inverse[k + 3 * row] * d;
    }
    for (; m < s->n_mels; m++)
        for (int k = 0; k < row; k++)
            start[k] += s->inverse[m * row + k] * power[m];
    float most = 0;
    for (int k = 0; k < s->row; k++) {
        start[k] = start[k] > 0 ? start[k] : 0;
        most = start[k] > most ? start[k] : most;
    }
    if (s->updates > 0) {
        scatter(s, power, wanted);
        for (int k = 0; k < s->bins; k++)
            start[k] = start[k] > 1e-9f * most ? start[k] : 1e-9f * most;
    }
    for (int update = 0; update < s->updates; update++) {
        gather(s, start, s->band);
        scatter(s, s->band, found);
        for (int k = 0; k < s->bins; k++)
            start[k] *= wanted[k] / (found[k] > 1e-20f ? found[k] : 1e-20f);
    }
    for (int k = 0; k < s->row; k++)
        start[k] = sqrtf(start[k]);
}

/* A first phase for the newest frame: along time from the frame before, or across from a louder
 * bin beside it. */
INLINE void first_phase(stream_t *s)
{
    int newest = (s->frames - 1) * s->row, bins = s->bins;
    const float *start = s->start + newest;
    float *re = s->phasor_re + newest, *im = s->phasor_im + newest;
    float *before = s->log_before, *now = s->log_now, *reached = s->reached;
    for (int k = 0; k < s->row; k++)
        now[k] = logarithm(start[k] + s->floor);
    for (int k = 1; k < bins - 1; k++) {
        float slope = now[k + 1] - now[k - 1] + before[k + 1] - before[k - 1];
        turned(s->turn[k] + 0.5f * s->slope * slope, &s->along_re[k], &s->along_im[k]);
    }
    turned(s->turn[0], &s->along_re[0], &s->along_im[0]);
    turned(s->turn[bins - 1], &s->along_re[bins - 1], &s->along_im[bins - 1]);
    for (int k = 1; k < bins; k++) {
        float rise = now[k] - before[k] + now[k - 1] - before[k - 1];
        turned(-0.5f - 0.5f * s->delay * rise, &s->across_re[k], &s->across_im[k]);
    }
    for (int k = 0; k < bins; k++) {
        /* Where it is silent for days, rounding would let a phasor grow or shrink for ever. */
        float size = sqrtf(re[k] * re[k] + im[k] * im[k]), r = re[k] / size, i = im[k] / size;
        re[k] = r * s->along_re[k] - i * s->along_im[k];
        im[k] = r * s->along_im[k] + i * s->along_re[k];
        reached[k] = before[k] + s->lead;
    }
    for (int k = 1; k < bins; k++) {
        float by = reached[k - 1] < now[k - 1] ? reached[k - 1] : now[k - 1];
        if (by > reached[k]) {
            reached[k] = by;
            re[k] = re[k - 1] * s->across_re[k] - im[k - 1] * s->across_im[k];
            im[k] = re[k - 1] * s->across_im[k] + im[k - 1] * s->across_re[k];
        }
    }
    for (int k = bins - 2; k >= 0; k--) {
        float by = reached[k + 1] < now[k + 1] ? reached[k + 1] : now[k + 1];
        if (by > reached[k]) {
            reached[k] = by;
            re[k] = re[k + 1] * s->across_re[k + 1] + im[k + 1] * s->across_im[k + 1];
            im[k] = im[k + 1] * s->across_re[k + 1] - re[k + 1] * s->across_im[k + 1];
        }
    }
    memcpy(before, now, sizeof(float) * (size_t)s->row);
}

/* Lead the spectra of all frames on, past what the signal has, by their step since the last time;
 * `power` receives their squared magnitudes. */
INLINE void lead_on(stream_t *s, int length, float momentum)
{
    float *restrict re = s->spectrum_re, *restrict im = s->spectrum_im, *restrict power = s->power;
    float *restrict before_re = s->before_re, *restrict before_im = s->before_im;
    for (int k = 0; k < length; k++) {
        float now_re = re[k], now_im = im[k];
        float r = now_re + momentum * (now_re - before_re[k]);
        float i = now_im + momentum * (now_im - before_im[k]);
        before_re[k] = now_re;
        before_im[k] = now_im;
        re[k] = r;
        im[k] = i;
        power[k] = r * r + i * i;
    }
}

/* Give all bins the magnitudes that they began with. */
INLINE void hold(stream_t *s, int length)
{
    float *restrict re = s->spectrum_re, *restrict im = s->spectrum_im, tiny = s->tiny;
    const float *restrict start = s->start, *restrict power = s->power;
    for (int k = 0; k < length; k++) {
        float size = sqrtf(power[k]), factor = start[k] / (size > tiny ? size : tiny);
        re[k] *= factor;
        im[k] *= factor;
    }
}

/* Give the bins of a frame the magnitudes nearest to the signal's that its mel allows. */
INLINE void fit(stream_t *s, int frame)
{
    int at = frame * s->row, row = s->row;
    float *restrict re = s->spectrum_re + at, *restrict im = s->spectrum_im + at;
    const float *restrict power = s->power + at, *restrict start = s->start + at;
    const float *restrict cover = s->cover, *restrict change = s->bins_a;
    const float *mel = s->mel + frame * s->n_mels;
    float tiny = s->tiny, rise = s->rise;
    gather(s, power, s->band);
    for (int m = 0; m < s->n_mels; m++) {
        float least = 1e-12f * mel[m] + 1e-20f;
        s->ratio[m] = mel[m] / (s->band[m] > least ? s->band[m] : least);
    }
    scatter(s, s->ratio, s->bins_a);
    for (int k = 0; k < row; k++) {
        float size = sqrtf(power[k]), some = size > tiny ? size : tiny;
        float wanted = sqrtf(change[k] * cover[k]), most = rise * start[k] / some;
        float factor = wanted < most ? wanted : most;
        re[k] *= factor;
        im[k] *= factor;
    }
}

/* Where nothing sounds the phase stays, so that it is there when something does. */
INLINE void keep_phase(stream_t *s, int length)
{
    float *restrict to_re = s->phasor_re, *restrict to_im = s->phasor_im, tiny = s->tiny;
    const float *restrict re = s->spectrum_re, *restrict im = s->spectrum_im;
    for (int k = 0; k < length; k++) {
        float size = sqrtf(re[k] * re[k] + im[k] * im[k]), some = size > tiny ? size : tiny;
        to_re[k] = size > tiny ? re[k] / some : to_re[k];
        to_im[k] = size > tiny ? im[k] / some : to_im[k];
    }
}

INLINE void shift(float *rows, int frames, int length)
{
    memmove(rows, rows + length, sizeof(float) * (size_t)((frames - 1) * length));
}

/* Put another mel under a frame that is not finished; 0 is the one that the next push finishes. */
FOR_EVERY_CPU
void ytm_stream_revise(stream_t *s, int32_t frame, const float *power)
{
    int at = frame + 1;
    memcpy(s->mel + at * s->n_mels, power, sizeof(float) * (size_t)s->n_mels);
    linear(s, power, s->start + at * s->row);
    if (at == s->frames - 1)
        for (int k = 0; k < s->row; k++)
            s->log_before[k] = logarithm(s->start[at * s->row + k] + s->floor);
}

/* Take the mel power of the newest frame, give the next hop. */
FOR_EVERY_CPU
void ytm_stream_push(stream_t *s, const float *power, float *out)
{
    int newest = s->frames - 1, row = s->row, all = s->frames * row;
    shift(s->mel, s->frames, s->n_mels);
    memcpy(s->mel + newest * s->n_mels, power, sizeof(float) * (size_t)s->n_mels);
    shift(s->start, s->frames, row);
    linear(s, power, s->start + newest * row);
    /* The row of the newest frame keeps the phasors of the one before it, to go on from. */
    shift(s->phasor_re, s->frames, row);
    shift(s->phasor_im, s->frames, row);
    first_phase(s);
    for (int k = 0; k < all; k++) {
        s->spectrum_re[k] = s->start[k] * s->phasor_re[k];
        s->spectrum_im[k] = s->start[k] * s->phasor_im[k];
    }
    for (int iteration = 0; iteration < s->iterations; iteration++) {
        memcpy(s->signal, s->past, sizeof(float) * (size_t)s->span);
        for (int frame = 0; frame < s->frames; frame += 2)
            add_pieces(s, frame, frame < newest, s->signal);
        for (int k = 0; k < s->span; k++)
            s->signal[k] *= s->gain[k];
        for (int frame = 0; frame < s->frames; frame += 2)
            analyse(s, frame, frame < newest);
        lead_on(s, all, iteration == 0 ? 0.0f : s->momentum);
        if (iteration < s->iterations / 2)
            hold(s, all);
        else
            for (int frame = 0; frame < s->frames; frame++)
                fit(s, frame);
    }
    keep_phase(s, all);
    add_pieces(s, 0, 0, s->past);
    for (int k = 0; k < s->hop; k++)
        out[k] = s->past[k] * s->whole;
    memmove(s->past, s->past + s->hop, sizeof(float) * (size_t)(s->span - s->hop));
    memset(s->past + s->span - s->hop, 0, sizeof(float) * (size_t)s->hop);
}
