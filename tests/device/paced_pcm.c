/* A sound card for tests: an ALSA plug-in that plays a ring of samples at the pace of
 * CLOCK_MONOTONIC, appends what it has played to a file, grants one rate and period, and reports an
 * underrun when it runs dry. One process holds it at a time.
 *
 *   pcm.NAME { type paced file "/tmp/samples" rate 48000 channels 2 period 256
 *              gone "/tmp/pulled-out" stuck "/tmp/stuck" refuse "/tmp/refuse" keep "/tmp/keep"
 *              log "/tmp/log" }
 *
 * What was written may be written anew until its time has come, as with a card that fetches its
 * samples from memory: it goes on with what lies there while the process is stopped, and the file
 * gets it as soon as the process asks again. With a stop threshold and a silence size at the
 * boundary it runs on past what was written: it plays what lies in its ring, and leaves silence
 * where it has played, as the kernel does (sound/core/pcm_lib.c, snd_pcm_playback_silence).
 *
 * While the file `gone` exists, the card is a USB card that was unplugged; while `stuck` exists, it
 * plays nothing and takes nothing, as one whose interrupts no longer come; while `refuse` exists,
 * it can be opened, and grants no format but 8 bits; while `keep` exists, it keeps what it was
 * asked to give back, and puts what is written next behind it. `log` gets a line
 *   START NANOSECONDS FRAME   at every start: when FRAME, counted from the file's first, was heard;
 *   UNDERRUN NANOSECONDS      when it was found to have run dry, or past what was written;
 * so that a frame that was written until the next START was heard at
 * NANOSECONDS + (frame - FRAME) / rate. All of them are optional.
 */
#include <alsa/asoundlib.h>
#include <alsa/pcm_external.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

typedef struct {
    snd_pcm_ioplug_t io;
    FILE *file;
    FILE *log;
    char *gone;
    char *stuck;
    char *keep;
    int timer;
    char *ring;
    size_t frame_bytes;
    snd_pcm_uframes_t wake_at;
    snd_pcm_uframes_t boundary;
    int runs_on;
    int is_past;
    uint64_t start_ns;
    uint64_t stuck_ns;
    uint64_t first;  /* Frames in the file when it was prepared. */
    uint64_t played; /* Frames since, all of them in the file. */
    uint64_t taken;  /* Frames since that were written, taken back or not. */
} paced_t;

static int is_there(const char *path)
{
    return path && access(path, F_OK) == 0;
}

static int disconnected(paced_t *paced)
{
    if (is_there(paced->gone))
        snd_pcm_ioplug_set_state(&paced->io, SND_PCM_STATE_DISCONNECTED);
    return paced->io.state == SND_PCM_STATE_DISCONNECTED;
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void note_start(paced_t *paced, uint64_t at_ns, uint64_t heard)
{
    if (paced->log)
        fprintf(paced->log, "START %ju %ju\n", (uintmax_t)at_ns,
                (uintmax_t)(paced->first + heard));
}

/* When it is for the card: time stands still while it is stuck. */
static uint64_t card_ns(paced_t *paced)
{
    uint64_t now = now_ns();
    if (is_there(paced->stuck)) {
        paced->stuck_ns = paced->stuck_ns ? paced->stuck_ns : now;
        return paced->stuck_ns;
    }
    if (paced->stuck_ns) {
        paced->start_ns += now - paced->stuck_ns;
        paced->stuck_ns = 0;
        note_start(paced, now, (now - paced->start_ns) * paced->io.rate / 1000000000u);
    }
    return now;
}

static int arm(paced_t *paced, long every_ns)
{
    struct itimerspec every = {{0, every_ns}, {0, every_ns}};
    return timerfd_settime(paced->timer, 0, &every, NULL);
}

static void note_underrun(paced_t *paced)
{
    if (paced->log && paced->io.state == SND_PCM_STATE_RUNNING)
        fprintf(paced->log, "UNDERRUN %ju\n", (uintmax_t)now_ns());
}

/* Append what the card has played until now; whether it has run dry. */
static int play(paced_t *paced)
{
    snd_pcm_ioplug_t *io = &paced->io;
    uint64_t due, until;
    int is_past, stops;
    if (io->state != SND_PCM_STATE_RUNNING && io->state != SND_PCM_STATE_DRAINING)
        return 0;
    due = (card_ns(paced) - paced->start_ns) * io->rate / 1000000000u;
    is_past = due >= io->appl_ptr;
    stops = is_past && !(paced->runs_on && io->state == SND_PCM_STATE_RUNNING);
    until = stops ? io->appl_ptr : due;
    while (paced->played < until) {
        uint64_t at = paced->played % io->buffer_size;
        uint64_t count = io->buffer_size - at;
        char *piece = paced->ring + at * paced->frame_bytes;
        count = count < until - paced->played ? count : until - paced->played;
        fwrite(piece, paced->frame_bytes, count, paced->file);
        if (paced->runs_on)
            memset(piece, 0, count * paced->frame_bytes);
        paced->played += count;
    }
    fflush(paced->file);
    if (is_past && !paced->is_past)
        note_underrun(paced);
    paced->is_past = is_past;
    return stops;
}

static int paced_hw_params(snd_pcm_ioplug_t *io, snd_pcm_hw_params_t *params)
{
    paced_t *paced = io->private_data;
    (void)params;
    paced->frame_bytes = io->channels * (size_t)snd_pcm_format_physical_width(io->format) / 8;
    free(paced->ring);
    paced->ring = calloc(io->buffer_size, paced->frame_bytes);
    return paced->ring ? 0 : -ENOMEM;
}

static int paced_sw_params(snd_pcm_ioplug_t *io, snd_pcm_sw_params_t *params)
{
    paced_t *paced = io->private_data;
    snd_pcm_uframes_t stop, silence;
    if (snd_pcm_sw_params_get_avail_min(params, &paced->wake_at) ||
        snd_pcm_sw_params_get_boundary(params, &paced->boundary) ||
        snd_pcm_sw_params_get_stop_threshold(params, &stop) ||
        snd_pcm_sw_params_get_silence_size(params, &silence))
        return -EINVAL;
    paced->runs_on = stop >= paced->boundary && silence >= paced->boundary;
    return 0;
}

static int paced_prepare(snd_pcm_ioplug_t *io)
{
    paced_t *paced = io->private_data;
    if (disconnected(paced))
        return -ENODEV;
    paced->first += paced->played;
    paced->played = paced->taken = 0;
    paced->is_past = 0;
    memset(paced->ring, 0, io->buffer_size * paced->frame_bytes);
    return arm(paced, 1000000);
}

static int paced_start(snd_pcm_ioplug_t *io)
{
    paced_t *paced = io->private_data;
    paced->start_ns = now_ns();
    paced->stuck_ns = 0;
    note_start(paced, paced->start_ns, 0);
    return 0;
}

static int paced_stop(snd_pcm_ioplug_t *io)
{
    play(io->private_data);
    return 0;
}

static snd_pcm_sframes_t paced_pointer(snd_pcm_ioplug_t *io)
{
    paced_t *paced = io->private_data;
    if (disconnected(paced))
        /* A negative answer would be taken for an underrun. */
        return (snd_pcm_sframes_t)io->hw_ptr;
    return play(paced) ? -EPIPE : (snd_pcm_sframes_t)(paced->played % paced->boundary);
}

static snd_pcm_sframes_t paced_transfer(snd_pcm_ioplug_t *io, const snd_pcm_channel_area_t *areas,
                                        snd_pcm_uframes_t offset, snd_pcm_uframes_t size)
{
    paced_t *paced = io->private_data;
    const char *samples = (const char *)areas->addr + (areas->first + areas->step * offset) / 8;
    snd_pcm_uframes_t room, at, straight;
    if (disconnected(paced))
        return -ENODEV;
    play(paced);
    if (is_there(paced->keep) && io->appl_ptr < paced->taken)
        io->appl_ptr = paced->taken;
    room = io->buffer_size - (io->appl_ptr - paced->played);
    size = size < room ? size : room;
    at = io->appl_ptr % io->buffer_size;
    straight = io->buffer_size - at < size ? io->buffer_size - at : size;
    memcpy(paced->ring + at * paced->frame_bytes, samples, straight * paced->frame_bytes);
    memcpy(paced->ring, samples + straight * paced->frame_bytes,
           (size - straight) * paced->frame_bytes);
    if (io->appl_ptr + size > paced->taken)
        paced->taken = io->appl_ptr + size;
    return (snd_pcm_sframes_t)size;
}

static int paced_poll_revents(snd_pcm_ioplug_t *io, struct pollfd *pfd, unsigned int count,
                              unsigned short *revents)
{
    paced_t *paced = io->private_data;
    uint64_t ticks;
    (void)count;
    *revents = 0;
    if (disconnected(paced))
        *revents = POLLERR;
    else if (pfd->revents & POLLIN && read(pfd->fd, &ticks, sizeof ticks) > 0) {
        snd_pcm_sframes_t room = snd_pcm_avail_update(io->pcm);
        if (room < 0 || (snd_pcm_uframes_t)room >= paced->wake_at)
            *revents = POLLOUT;
    }
    return 0;
}

static void release(paced_t *paced)
{
    if (paced->file)
        fclose(paced->file);
    if (paced->log)
        fclose(paced->log);
    if (paced->timer >= 0)
        close(paced->timer);
    free(paced->gone);
    free(paced->stuck);
    free(paced->keep);
    free(paced->ring);
    free(paced);
}

static int paced_close(snd_pcm_ioplug_t *io)
{
    release(io->private_data);
    return 0;
}

static const snd_pcm_ioplug_callback_t callbacks = {
    .start = paced_start,
    .stop = paced_stop,
    .pointer = paced_pointer,
    .transfer = paced_transfer,
    .hw_params = paced_hw_params,
    .sw_params = paced_sw_params,
    .prepare = paced_prepare,
    .poll_revents = paced_poll_revents,
    .close = paced_close,
};

static int constrain(paced_t *paced, unsigned format, unsigned rate, unsigned channels,
                     unsigned period)
{
    /* Converting plug-ins in front of the card need mmap, which ioplug emulates. */
    static const unsigned access[] = {SND_PCM_ACCESS_RW_INTERLEAVED,
                                      SND_PCM_ACCESS_MMAP_INTERLEAVED};
    snd_pcm_ioplug_t *io = &paced->io;
    unsigned bytes = period * channels * (unsigned)snd_pcm_format_physical_width((int)format) / 8;
    int bad = snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_ACCESS, 2, access) |
              snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_FORMAT, 1, &format) |
              snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_RATE, rate, rate) |
              snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_CHANNELS, channels, channels) |
              snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_PERIOD_BYTES, bytes, bytes) |
              snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_PERIODS, 2, 64);
    return bad ? -EINVAL : 0;
}

static int acquire(paced_t *paced, const char *file, const char *log, unsigned channels)
{
    if (is_there(paced->gone))
        return -ENODEV;
    if (!file || !(paced->file = fopen(file, "ab")))
        return -EINVAL;
    if (flock(fileno(paced->file), LOCK_EX | LOCK_NB))
        return -EBUSY;
    paced->first = (uint64_t)ftell(paced->file) / (2 * channels);
    if (log && !(paced->log = fopen(log, "a")))
        return -EINVAL;
    if (paced->log)
        setlinebuf(paced->log);
    paced->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    return 0;
}

SND_PCM_PLUGIN_DEFINE_FUNC(paced)
{
    snd_config_iterator_t at, next;
    const char *file = NULL, *log = NULL, *gone = NULL, *stuck = NULL, *refuse = NULL,
               *keep = NULL;
    long rate = 48000, channels = 2, period = 256;
    paced_t *paced;
    int error;
    (void)root;
    snd_config_for_each(at, next, conf) {
        snd_config_t *entry = snd_config_iterator_entry(at);
        const char *id;
        if (snd_config_get_id(entry, &id) < 0)
            continue;
        if (!strcmp(id, "file"))
            snd_config_get_string(entry, &file);
        else if (!strcmp(id, "log"))
            snd_config_get_string(entry, &log);
        else if (!strcmp(id, "gone"))
            snd_config_get_string(entry, &gone);
        else if (!strcmp(id, "stuck"))
            snd_config_get_string(entry, &stuck);
        else if (!strcmp(id, "refuse"))
            snd_config_get_string(entry, &refuse);
        else if (!strcmp(id, "keep"))
            snd_config_get_string(entry, &keep);
        else if (!strcmp(id, "rate"))
            snd_config_get_integer(entry, &rate);
        else if (!strcmp(id, "channels"))
            snd_config_get_integer(entry, &channels);
        else if (!strcmp(id, "period"))
            snd_config_get_integer(entry, &period);
    }
    if (!(paced = calloc(1, sizeof *paced)))
        return -ENOMEM;
    paced->timer = -1;
    paced->gone = gone ? strdup(gone) : NULL;
    paced->stuck = stuck ? strdup(stuck) : NULL;
    paced->keep = keep ? strdup(keep) : NULL;
    error = acquire(paced, file, log, (unsigned)channels);
    if (error < 0) {
        release(paced);
        return error;
    }
    paced->io.version = SND_PCM_IOPLUG_VERSION;
    /* Where it runs on, what it has played between two questions may be more than its buffer. */
    paced->io.flags = SND_PCM_IOPLUG_FLAG_BOUNDARY_WA;
    paced->io.name = "paced test card";
    paced->io.callback = &callbacks;
    paced->io.private_data = paced;
    paced->io.poll_fd = paced->timer;
    paced->io.poll_events = POLLIN;
    error = snd_pcm_ioplug_create(&paced->io, name, stream, mode);
    if (error < 0) {
        release(paced);
        return error;
    }
    error = constrain(paced, is_there(refuse) ? SND_PCM_FORMAT_U8 : SND_PCM_FORMAT_S16_LE,
                      (unsigned)rate, (unsigned)channels, (unsigned)period);
    if (error < 0) {
        snd_pcm_ioplug_delete(&paced->io);
        return error;
    }
    *pcmp = paced->io.pcm;
    return 0;
}
SND_PCM_PLUGIN_SYMBOL(paced);
