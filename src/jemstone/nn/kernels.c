/* Ways back through norm and activation in one or two passes over memory, for tensors in
   channels-last order: rows of channels. Sums are taken in float over some rows, then in double,
   each thread's own rows in order: the same numbers for the same count of threads. */

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ROWS 64 /* that are summed in float */

static inline float raised(uint16_t number)
{
    uint32_t bits = (uint32_t)number << 16;
    float wide;
    memcpy(&wide, &bits, sizeof wide);
    return wide;
}

static inline uint16_t lowered(float wide)
{
    uint32_t bits;
    memcpy(&bits, &wide, sizeof bits);
    uint32_t nearest = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    return wide != wide ? 0x7fc0 : (uint16_t)nearest;
}

static inline float same(float number) { return number; }

/* SCALE: out = leaky(scale x + shift), channel by channel.
   PULL_ACTIVATION: out = g * leaky'(a) + other.
   PULL_NORM: the same through batch norm before the activation, by the batch's statistics:
   with z = scale x + shift, g' = g * leaky'(z) and n = (x - mean) deviation, the norm's own
   gradients are sum g' n and sum g', and out = weight deviation (g' - mean g' - n mean(g' n)). */
#define KERNELS(SUFFIX, NUMBER, UP, DOWN)                                                          \
    void pull_activation_##SUFFIX(const NUMBER *restrict g, const NUMBER *restrict a,              \
                                  const NUMBER *restrict other, NUMBER *restrict out,              \
                                  int64_t size, float slope, int threads)                          \
    {                                                                                              \
        if (other) {                                                                               \
            _Pragma("omp parallel for simd num_threads(threads)")                                  \
            for (int64_t i = 0; i < size; i++) {                                                   \
                float pulled = UP(g[i]) * (UP(a[i]) > 0 ? 1.0f : slope);                           \
                out[i] = DOWN(pulled + UP(other[i]));                                              \
            }                                                                                      \
        } else {                                                                                   \
            _Pragma("omp parallel for simd num_threads(threads)")                                  \
            for (int64_t i = 0; i < size; i++)                                                     \
                out[i] = DOWN(UP(g[i]) * (UP(a[i]) > 0 ? 1.0f : slope));                           \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    void scale_##SUFFIX(const NUMBER *restrict x, NUMBER *restrict out,                            \
                        const float *restrict scale, const float *restrict shift, int64_t rows,    \
                        int64_t channels, float slope, int threads)                                \
    {                                                                                              \
        _Pragma("omp parallel for num_threads(threads)")                                           \
        for (int64_t row = 0; row < rows; row++)                                                   \
            for (int64_t c = 0; c < channels; c++) {                                               \
                float z = UP(x[row * channels + c]) * scale[c] + shift[c];                         \
                out[row * channels + c] = DOWN(z > 0 ? z : slope * z);                             \
            }                                                                                      \
    }                                                                                              \
                                                                                                   \
    static void sum_##SUFFIX(const NUMBER *restrict g, const NUMBER *restrict x,                   \
                             const float *restrict mean, const float *restrict scale,              \
                             const float *restrict shift, float *restrict sums,                    \
                             int64_t rows, int64_t channels, float slope)                          \
    {                                                                                              \
        float *restrict plain = sums, *restrict crossed = sums + channels;                         \
        memset(sums, 0, 2 * channels * sizeof *sums);                                              \
        for (int64_t row = 0; row < rows; row++, g += channels, x += channels)                     \
            for (int64_t c = 0; c < channels; c++) {                                               \
                float seen = UP(x[c]);                                                             \
                float pulled = UP(g[c]) * (seen * scale[c] + shift[c] > 0 ? 1.0f : slope);         \
                plain[c] += pulled;                                                                \
                crossed[c] += pulled * (seen - mean[c]);                                           \
            }                                                                                      \
    }                                                                                              \
                                                                                                   \
    static void pull_##SUFFIX(const NUMBER *restrict g, const NUMBER *restrict x,                  \
                              const NUMBER *restrict other, NUMBER *restrict out,                  \
                              const float *restrict scale, const float *restrict shift,            \
                              const float *restrict factor, const float *restrict along,           \
                              const float *restrict level, int64_t rows, int64_t channels,         \
                              float slope)                                                         \
    {                                                                                              \
        for (int64_t row = 0; row < rows; row++) {                                                 \
            for (int64_t c = 0; c < channels; c++) {                                               \
                float seen = UP(x[c]);                                                             \
                float pulled = UP(g[c]) * (seen * scale[c] + shift[c] > 0 ? 1.0f : slope);         \
                float back = factor[c] * pulled + (along[c] * seen + level[c]);                    \
                out[c] = DOWN(other ? back + UP(other[c]) : back);                                 \
            }                                                                                      \
            g += channels, x += channels, out += channels;                                         \
            other = other ? other + channels : other;                                              \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    int pull_norm_##SUFFIX(const NUMBER *g, const NUMBER *x, const NUMBER *other, NUMBER *out,     \
                           const float *weight, const float *mean, const float *deviation,         \
                           const float *scale, const float *shift, float *of_weight,               \
                           float *of_bias, int64_t rows, int64_t channels, float slope,            \
                           int threads)                                                            \
    {                                                                                              \
        double *totals = calloc(2 * threads * channels, sizeof *totals);                           \
        float *space = malloc((2 * threads + 3) * channels * sizeof *space);                       \
        if (!totals || !space) {                                                                   \
            free(totals), free(space);                                                             \
            return 1;                                                                              \
        }                                                                                          \
        float *factor = space + 2 * threads * channels;                                            \
        float *along = factor + channels, *level = along + channels;                               \
        int64_t share = (rows + threads - 1) / threads;                                            \
        _Pragma("omp parallel for schedule(static, 1) num_threads(threads)")                       \
        for (int thread = 0; thread < threads; thread++) {                                         \
            int64_t end = (thread + 1) * share < rows ? (thread + 1) * share : rows;               \
            float *sums = space + 2 * thread * channels;                                           \
            double *total = totals + 2 * thread * channels;                                        \
            for (int64_t row = thread * share; row < end; row += ROWS) {                           \
                int64_t many = end - row < ROWS ? end - row : ROWS, at = row * channels;           \
                sum_##SUFFIX(g + at, x + at, mean, scale, shift, sums, many, channels, slope);     \
                for (int64_t c = 0; c < 2 * channels; c++)                                         \
                    total[c] += sums[c];                                                           \
            }                                                                                      \
        }                                                                                          \
        for (int64_t c = 0; c < channels; c++) {                                                   \
            double plain = 0, crossed = 0;                                                         \
            for (int thread = 0; thread < threads; thread++) {                                     \
                plain += totals[2 * thread * channels + c];                                        \
                crossed += totals[(2 * thread + 1) * channels + c];                                \
            }                                                                                      \
            of_bias[c] = plain;                                                                    \
            of_weight[c] = crossed * deviation[c];                                                 \
            factor[c] = weight[c] * deviation[c];                                                  \
            along[c] = -factor[c] * deviation[c] * of_weight[c] / rows;                            \
            level[c] = -factor[c] * plain / rows - along[c] * mean[c];                             \
        }                                                                                          \
        _Pragma("omp parallel for schedule(static, 1) num_threads(threads)")                       \
        for (int thread = 0; thread < threads; thread++) {                                         \
            int64_t begin = thread * share < rows ? thread * share : rows;                         \
            int64_t many = rows - begin < share ? rows - begin : share, at = begin * channels;     \
            pull_##SUFFIX(g + at, x + at, other ? other + at : other, out + at, scale, shift,      \
                          factor, along, level, many, channels, slope);                            \
        }                                                                                          \
        free(totals), free(space);                                                                 \
        return 0;                                                                                  \
    }

KERNELS(bfloat16, uint16_t, raised, lowered)
KERNELS(float32, float, same, same)
