/* The least that can play: a tone on a PCM, to compare the sound service with.
 *
 *   plain_player NAME RATE PERIOD PERIODS SECONDS PRIORITY
 *
 * Asks for PRIORITY of SCHED_FIFO, as the service does. Prints how often the PCM ran dry, and
 * whether it was given the priority: {"underruns": 0, "real_time": true}
 */
#include <alsa/asoundlib.h>
#include <math.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static int check(int result, const char *what)
{
    if (result < 0) {
        fprintf(stderr, "%s: %s\n", what, snd_strerror(result));
        exit(1);
    }
    return result;
}

static snd_pcm_t *open_pcm(const char *name, unsigned rate, snd_pcm_uframes_t period,
                           unsigned periods)
{
    snd_pcm_t *pcm;
    snd_pcm_hw_params_t *wanted;
    snd_pcm_hw_params_alloca(&wanted);
    check(snd_pcm_open(&pcm, name, SND_PCM_STREAM_PLAYBACK, 0), name);
    check(snd_pcm_hw_params_any(pcm, wanted), "any");
    check(snd_pcm_hw_params_set_access(pcm, wanted, SND_PCM_ACCESS_RW_INTERLEAVED), "access");
    check(snd_pcm_hw_params_set_format(pcm, wanted, SND_PCM_FORMAT_S16_LE), "format");
    check(snd_pcm_hw_params_set_channels(pcm, wanted, 2), "channels");
    check(snd_pcm_hw_params_set_rate(pcm, wanted, rate, 0), "rate");
    check(snd_pcm_hw_params_set_period_size(pcm, wanted, period, 0), "period");
    check(snd_pcm_hw_params_set_periods(pcm, wanted, periods, 0), "periods");
    check(snd_pcm_hw_params(pcm, wanted), "parameters");
    return pcm;
}

int main(int count, char **words)
{
    if (count != 7)
        return 2;
    const unsigned rate = (unsigned)atoi(words[2]), periods = (unsigned)atoi(words[4]);
    const snd_pcm_uframes_t period = (snd_pcm_uframes_t)atoi(words[3]);
    const double seconds = atof(words[5]);
    const struct sched_param priority = {.sched_priority = atoi(words[6])};
    const int urgent = sched_setscheduler(0, SCHED_FIFO, &priority) == 0;
    snd_pcm_t *pcm = open_pcm(words[1], rate, period, periods);
    int16_t *frames = malloc(period * 2 * sizeof *frames);
    unsigned long underruns = 0;
    for (uint64_t at = 0; (double)at < seconds * rate; at += period) {
        for (snd_pcm_uframes_t i = 0; i < period; i++)
            frames[2 * i] = frames[2 * i + 1] = (int16_t)(3000 * sin(0.05 * (double)(at + i)));
        if (snd_pcm_writei(pcm, frames, period) == -EPIPE) {
            underruns++;
            check(snd_pcm_prepare(pcm), "prepare");
        }
    }
    snd_pcm_drain(pcm);
    snd_pcm_close(pcm);
    free(frames);
    printf("{\"underruns\": %lu, \"real_time\": %s}\n", underruns, urgent ? "true" : "false");
    return 0;
}
