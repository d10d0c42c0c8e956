/* Vector functions of other libraries, timed like those of the benchmark: a loop over the rows that
 * loads, calls and stores.
 *
 * Built with -DLIBMVEC or -DSLEEF, and for AVX-512 with -DWIDE. Arguments: operator, "f64" or "f32",
 * number of rows. Reads two columns of arguments in binary, writes nanoseconds an element, as a
 * double, and the column of results; status 2 if the library lacks the function. */
#include <immintrin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef WIDE
typedef __m512d D;
typedef __m512 F;
#else
typedef __m256d D;
typedef __m256 F;
#endif

#define UNARY(X) X(exp) X(expm1) X(log) X(log2) X(log10) X(log1p) X(sin) X(cos) X(tan) X(asin) \
  X(acos) X(atan) X(sinh) X(cosh) X(tanh) X(erf) X(cbrt)
#define BINARY(X) X(atan2) X(pow)

#ifdef LIBMVEC
#ifdef WIDE
#define D1(name) _ZGVeN8v_##name
#define F1(name) _ZGVeN16v_##name##f
#define D2(name) _ZGVeN8vv_##name
#define F2(name) _ZGVeN16vv_##name##f
#else
#define D1(name) _ZGVdN4v_##name
#define F1(name) _ZGVdN8v_##name##f
#define D2(name) _ZGVdN4vv_##name
#define F2(name) _ZGVdN8vv_##name##f
#endif
#else
#ifdef WIDE
#define D1(name) Sleef_##name##d8_u10avx512f
#define F1(name) Sleef_##name##f16_u10avx512f
#else
#define D1(name) Sleef_##name##d4_u10avx2
#define F1(name) Sleef_##name##f8_u10avx2
#endif
#define D2(name) D1(name)
#define F2(name) F1(name)
#endif

#define DECLARE1(f) D D1(f)(D); F F1(f)(F);
#define DECLARE2(f) D D2(f)(D, D); F F2(f)(F, F);
UNARY(DECLARE1)
BINARY(DECLARE2)

typedef struct {
  const char *name;
  D (*d1)(D);
  F (*f1)(F);
  D (*d2)(D, D);
  F (*f2)(F, F);
} Row;
#define ROW1(f) {#f, D1(f), F1(f), 0, 0},
#define ROW2(f) {#f, 0, 0, D2(f), F2(f)},
static const Row ROWS[] = {UNARY(ROW1) BINARY(ROW2)};

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}

static void run(const Row *row, int is_double, size_t bytes, const char *a, const char *b, char *out) {
  for (size_t i = 0; i < bytes; i += sizeof(D)) {
    const void *x = a + i, *y = b + i;
    void *z = out + i;
    if (is_double)
      *(D *)z = row->d1 ? row->d1(*(D *)x) : row->d2(*(D *)x, *(D *)y);
    else
      *(F *)z = row->f1 ? row->f1(*(F *)x) : row->f2(*(F *)x, *(F *)y);
  }
}

int main(int argc, char **argv) {
  if (argc != 4) return 1;
  int is_double = !strcmp(argv[2], "f64");
  size_t rows = strtoul(argv[3], 0, 10), bytes = rows * (is_double ? 8 : 4);
  char *a = aligned_alloc(64, bytes), *b = aligned_alloc(64, bytes), *out = aligned_alloc(64, bytes);
  if (fread(a, 1, bytes, stdin) != bytes || fread(b, 1, bytes, stdin) != bytes) return 1;
  for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
    if (strcmp(ROWS[i].name, argv[1])) continue;
    double best = 1e300;
    for (int repeat = 0; repeat < 500; repeat++) {
      double start = now();
      for (int turn = 0; turn < 10; turn++) run(&ROWS[i], is_double, bytes, a, b, out);
      double time = (now() - start) / 10 / rows;
      best = time < best ? time : best;
    }
    fwrite(&best, sizeof best, 1, stdout);
    fwrite(out, 1, bytes, stdout);
    return 0;
  }
  return 2;
}
