/* A Video4Linux camera for tests, preloaded. Who looks for /dev/video*, /dev/v4l, /dev/bus or
 * /sys/class/video4linux, or lists /dev, finds what is below $FAKE_V4L2 instead. There, a file whose
 * name begins with `video` is a camera, and what it holds is how the camera behaves, read again
 * before every picture, one `key=value` a line:
 *
 *   plug=1              counts up each time it is plugged in: who had it open before has lost it
 *   card=Test bus=usb-1 what VIDIOC_QUERYCAP tells
 *   formats=YUYV,MJPG   what it offers, at width x height and fps pictures a second
 *   jpeg=/a/picture.jpg what it sends as MJPG, each time with another comment
 *   busy=1              somebody else streams: VIDIOC_S_FMT and VIDIOC_REQBUFS fail with EBUSY
 *   frozen=1            every picture is the last one, bit by bit
 *   cut=N               every Nth JPEG is cut in half
 *   silent=1            no picture comes
 *   ended=1             VIDIOC_DQBUF fails with EPIPE, which is the end of the stream
 *   hang=open|streamoff|ioctl    that call does not come back while the line is there
 *
 * Its controls are files in $FAKE_V4L2/controls/NAME, named by their identity in hexadecimal, that
 * hold `value minimum maximum step default`. A removed file is an unplugged camera. A file in
 * /dev/bus/usb is a USB device: a reset adds a line to it.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/usbdevice_fs.h>
#include <linux/videodev2.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#define MAX_FDS 4096
#define MAX_BUFFERS 8
#define VIDEO_MAJOR 81
#define USB_MAJOR 189
#define PAGE 4096u

typedef struct {
    unsigned plug, width, height, fps, busy, frozen, cut, silent, ended;
    char card[32], bus[32], formats[64], jpeg[PATH_MAX], hang[16];
} behaviour_t;

typedef struct {
    char path[PATH_MAX];
    behaviour_t now;
    unsigned plug;
    int descriptors; /* how many name it: GStreamer's buffer pool has one of its own */
    int event, memory, dead, streaming, threaded;
    struct v4l2_pix_format format;
    unsigned count, size;
    unsigned char *mapped;
    struct v4l2_buffer buffers[MAX_BUFFERS];
    unsigned queued[MAX_BUFFERS], n_queued, done[MAX_BUFFERS], n_done;
    unsigned sent, pattern;
    unsigned char *jpeg;
    size_t jpeg_size;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
} camera_t;

static camera_t *cameras[MAX_FDS];

static int sys_open(const char *path, int flags, mode_t mode)
{
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

static size_t read_whole(const char *path, unsigned char **data)
{
    struct stat status;
    int fd = sys_open(path, O_RDONLY | O_CLOEXEC, 0);
    ssize_t got = -1;
    *data = NULL;
    if (fd < 0)
        return 0;
    if (syscall(SYS_fstat, fd, &status) == 0 && (*data = calloc(1, (size_t)status.st_size + 1)))
        got = read(fd, *data, (size_t)status.st_size);
    syscall(SYS_close, fd);
    return got < 0 ? 0 : (size_t)got;
}

static void copy_word(char *to, size_t size, const char *from)
{
    snprintf(to, size, "%s", from);
}

static void understand(behaviour_t *now, const char *key, const char *value)
{
    unsigned number = (unsigned)strtoul(value, NULL, 10);
    struct {
        const char *key;
        unsigned *field;
    } numbers[] = {{"plug", &now->plug},     {"width", &now->width}, {"height", &now->height},
                   {"fps", &now->fps},       {"busy", &now->busy},   {"frozen", &now->frozen},
                   {"cut", &now->cut},       {"silent", &now->silent}, {"ended", &now->ended}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (!strcmp(key, numbers[i].key))
            *numbers[i].field = number;
    if (!strcmp(key, "card"))
        copy_word(now->card, sizeof now->card, value);
    else if (!strcmp(key, "bus"))
        copy_word(now->bus, sizeof now->bus, value);
    else if (!strcmp(key, "formats"))
        copy_word(now->formats, sizeof now->formats, value);
    else if (!strcmp(key, "jpeg"))
        copy_word(now->jpeg, sizeof now->jpeg, value);
    else if (!strcmp(key, "hang"))
        copy_word(now->hang, sizeof now->hang, value);
}

/* False when the camera is not there. */
static int look(const char *path, behaviour_t *now)
{
    unsigned char *text;
    char *rest, *line;
    size_t size = read_whole(path, &text);
    memset(now, 0, sizeof *now);
    now->width = 640, now->height = 480, now->fps = 30;
    copy_word(now->card, sizeof now->card, "Test Camera");
    copy_word(now->bus, sizeof now->bus, "usb-test-1");
    copy_word(now->formats, sizeof now->formats, "YUYV");
    if (!text)
        return 0;
    for (line = strtok_r((char *)text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char *value = strchr(line, '=');
        if (value) {
            *value++ = 0;
            understand(now, line, value);
        }
    }
    free(text);
    return size > 0;
}

static int hangs(const char *path, const char *where)
{
    behaviour_t now;
    return look(path, &now) && !strcmp(now.hang, where);
}

static void hang_while(const char *path, const char *where)
{
    while (hangs(path, where))
        usleep(10000);
}

static int begins(const char *path, const char *with)
{
    return !strncmp(path, with, strlen(with));
}

/* `path`, or where it is found instead. */
static const char *led(const char *path, char *instead)
{
    static const char *const places[] = {"/dev/video", "/dev/v4l", "/dev/bus",
                                         "/sys/class/video4linux"};
    const char *root = getenv("FAKE_V4L2");
    for (size_t i = 0; root && path && i < sizeof places / sizeof *places; i++)
        if (begins(path, places[i])) {
            if (snprintf(instead, PATH_MAX, "%s%s", root, path) >= PATH_MAX)
                abort();
            return instead;
        }
    return path;
}

/* The device at `path`, or where its symbolic links lead to; false if there is none. */
static int fake_node(const char *path, char *node)
{
    return realpath(path, node) && strstr(node, "/dev/") &&
           (begins(strrchr(node, '/'), "/video") || strstr(node, "/bus/usb/"));
}

/* Opening, and what stat tells. */

static int fake_open(const char *node, int flags)
{
    camera_t *camera;
    behaviour_t now;
    int fd;
    hang_while(node, "open");
    if (!look(node, &now)) {
        errno = ENODEV;
        return -1;
    }
    fd = eventfd(0, EFD_SEMAPHORE | EFD_NONBLOCK | (flags & O_CLOEXEC ? EFD_CLOEXEC : 0));
    if (fd < 0 || fd >= MAX_FDS || !(camera = calloc(1, sizeof *camera)))
        abort();
    copy_word(camera->path, sizeof camera->path, node);
    camera->now = now;
    camera->plug = now.plug;
    camera->event = fd;
    camera->memory = -1;
    camera->format.width = now.width;
    camera->format.height = now.height;
    memcpy(&camera->format.pixelformat, now.formats, 4);
    pthread_mutex_init(&camera->lock, NULL);
    pthread_cond_init(&camera->changed, NULL);
    camera->descriptors = 1;
    cameras[fd] = camera;
    return fd;
}

#define OPENS(name)                                                                                \
    int name(const char *path, int flags, ...)                                                     \
    {                                                                                              \
        char instead[PATH_MAX], node[PATH_MAX];                                                    \
        va_list rest;                                                                              \
        va_start(rest, flags);                                                                     \
        mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0;                  \
        va_end(rest);                                                                              \
        path = led(path, instead);                                                                 \
        if (path == instead && fake_node(path, node) &&                                            \
            !(flags & O_NOFOLLOW && strcmp(path, node)))                                           \
            return fake_open(node, flags);                                                         \
        return sys_open(path, flags, mode);                                                        \
    }
OPENS(open)
OPENS(open64)

static int stat_at(const char *path, struct stat *status, int flags)
{
    char instead[PATH_MAX], node[PATH_MAX];
    path = led(path, instead);
    int result = (int)syscall(SYS_newfstatat, AT_FDCWD, path, status, flags);
    if (path == instead && result == 0 && S_ISREG(status->st_mode) && fake_node(path, node)) {
        int usb = strstr(node, "/bus/usb/") != NULL;
        status->st_mode = S_IFCHR | 0660;
        status->st_rdev = makedev(usb ? USB_MAJOR : VIDEO_MAJOR, 0);
    }
    return result;
}

int stat(const char *path, struct stat *status)
{
    return stat_at(path, status, 0);
}

int stat64(const char *path, struct stat64 *status)
{
    return stat_at(path, (struct stat *)status, 0);
}

int lstat(const char *path, struct stat *status)
{
    return stat_at(path, status, AT_SYMLINK_NOFOLLOW);
}

int lstat64(const char *path, struct stat64 *status)
{
    return stat_at(path, (struct stat *)status, AT_SYMLINK_NOFOLLOW);
}

ssize_t readlink(const char *path, char *target, size_t size)
{
    char instead[PATH_MAX];
    return syscall(SYS_readlinkat, AT_FDCWD, led(path, instead), target, size);
}

DIR *opendir(const char *path)
{
    static DIR *(*real)(const char *);
    char instead[PATH_MAX];
    const char *root = getenv("FAKE_V4L2");
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "opendir");
    path = led(path, instead);
    if (root && !strcmp(path, "/dev") && snprintf(instead, PATH_MAX, "%s/dev", root) < PATH_MAX)
        path = instead;
    return real(path);
}

/* Streaming. */

static void paint(camera_t *camera, unsigned char *to, unsigned size)
{
    uint64_t noise = 0x9e3779b97f4a7c15u * (camera->pattern + 1);
    unsigned stride = camera->format.width * 2;
    for (unsigned at = 0; at + 8 <= size; at += 8) {
        unsigned luma = 48 + (at % stride / 8 + at / stride / 2 + camera->pattern * 2) % 128;
        noise ^= noise << 13, noise ^= noise >> 7, noise ^= noise << 17;
        uint64_t grey = 0x8000800080008000u | luma * 0x0001000100010001u;
        uint64_t grain = grey + (noise & 0x0007000700070007u);
        memcpy(to + at, &grain, 8);
    }
}

/* A comment that counts makes each JPEG another one without changing the picture. */
static unsigned press(camera_t *camera, unsigned char *to)
{
    const unsigned char mark[] = {0xff, 0xfe, 0x00, 0x06};
    unsigned size = (unsigned)camera->jpeg_size + 8;
    if (camera->jpeg_size < 4 || size > camera->size)
        return 0;
    memcpy(to, camera->jpeg, 2);
    memcpy(to + 2, mark, sizeof mark);
    memcpy(to + 6, &camera->pattern, 4);
    memcpy(to + 10, camera->jpeg + 2, camera->jpeg_size - 2);
    return camera->now.cut && camera->sent % camera->now.cut == 0 ? size / 2 : size;
}

static void take_picture(camera_t *camera)
{
    struct timespec when;
    unsigned index = camera->queued[0];
    struct v4l2_buffer *buffer = &camera->buffers[index];
    unsigned char *to = camera->mapped + (size_t)index * camera->size;
    memmove(camera->queued, camera->queued + 1, sizeof *camera->queued * --camera->n_queued);
    camera->sent++;
    if (!camera->now.frozen)
        camera->pattern++;
    if (camera->format.pixelformat == V4L2_PIX_FMT_YUYV) {
        paint(camera, to, camera->format.sizeimage);
        buffer->bytesused = camera->format.sizeimage;
    } else {
        buffer->bytesused = press(camera, to);
    }
    clock_gettime(CLOCK_MONOTONIC, &when);
    buffer->timestamp.tv_sec = when.tv_sec;
    buffer->timestamp.tv_usec = when.tv_nsec / 1000;
    buffer->sequence = camera->sent;
    buffer->flags = V4L2_BUF_FLAG_MAPPED | V4L2_BUF_FLAG_DONE | V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
    camera->done[camera->n_done++] = index;
}

static void wake(camera_t *camera, uint64_t times)
{
    if (write(camera->event, &times, sizeof times) < 0)
        abort();
    pthread_cond_broadcast(&camera->changed);
}

static int is_gone(camera_t *camera)
{
    return !look(camera->path, &camera->now) || camera->now.plug != camera->plug;
}

static void *stream(void *argument)
{
    camera_t *camera = argument;
    struct timespec due;
    clock_gettime(CLOCK_MONOTONIC, &due);
    for (int going = 1; going;) {
        long period_ns = 1000000000L / (camera->now.fps ? camera->now.fps : 30);
        due.tv_nsec += period_ns;
        due.tv_sec += due.tv_nsec / 1000000000L;
        due.tv_nsec %= 1000000000L;
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
        pthread_mutex_lock(&camera->lock);
        going = camera->streaming && !camera->dead;
        if (going && is_gone(camera)) {
            camera->dead = 1;
            wake(camera, 1000);
        } else if (going && camera->now.ended) {
            wake(camera, 1);
        } else if (going && !camera->now.silent && camera->n_queued) {
            take_picture(camera);
            wake(camera, 1);
        }
        pthread_mutex_unlock(&camera->lock);
    }
    return NULL;
}

static int stream_on(camera_t *camera)
{
    camera->streaming = 1;
    if (!camera->jpeg)
        camera->jpeg_size = read_whole(camera->now.jpeg, &camera->jpeg);
    camera->threaded = !pthread_create(&camera->thread, NULL, stream, camera);
    return camera->threaded ? 0 : -ENOMEM;
}

static int stream_off(camera_t *camera)
{
    uint64_t times;
    pthread_mutex_unlock(&camera->lock);
    hang_while(camera->path, "streamoff");
    pthread_mutex_lock(&camera->lock);
    camera->streaming = 0;
    camera->n_queued = camera->n_done = 0;
    pthread_cond_broadcast(&camera->changed);
    if (camera->threaded) {
        pthread_mutex_unlock(&camera->lock);
        pthread_join(camera->thread, NULL);
        pthread_mutex_lock(&camera->lock);
        camera->threaded = 0;
    }
    while (!camera->dead && read(camera->event, &times, sizeof times) > 0)
        ;
    return 0;
}

static int dequeue(camera_t *camera, struct v4l2_buffer *buffer)
{
    uint64_t times;
    while (!camera->n_done && !camera->dead && camera->streaming && !camera->now.ended)
        pthread_cond_wait(&camera->changed, &camera->lock);
    if (camera->dead)
        return -ENODEV;
    if (!camera->streaming)
        return -EINVAL;
    if (!camera->n_done)
        return -EPIPE;
    if (read(camera->event, &times, sizeof times) < 0)
        return -EIO;
    *buffer = camera->buffers[camera->done[0]];
    memmove(camera->done, camera->done + 1, sizeof *camera->done * --camera->n_done);
    return 0;
}

static int queue(camera_t *camera, struct v4l2_buffer *buffer)
{
    if (buffer->index >= camera->count || camera->n_queued == MAX_BUFFERS)
        return -EINVAL;
    camera->queued[camera->n_queued++] = buffer->index;
    buffer->flags = V4L2_BUF_FLAG_MAPPED | V4L2_BUF_FLAG_QUEUED | V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
    return 0;
}

static void release(camera_t *camera)
{
    if (camera->mapped)
        munmap(camera->mapped, (size_t)camera->size * camera->count);
    if (camera->memory >= 0)
        syscall(SYS_close, camera->memory);
    camera->mapped = NULL;
    camera->memory = -1;
    camera->count = 0;
}

static int request(camera_t *camera, struct v4l2_requestbuffers *wanted)
{
    if (camera->now.busy)
        return -EBUSY;
    if (wanted->memory != V4L2_MEMORY_MMAP)
        return -EINVAL;
    release(camera);
    wanted->capabilities = V4L2_BUF_CAP_SUPPORTS_MMAP;
    if (!wanted->count)
        return 0;
    if (wanted->count > MAX_BUFFERS)
        wanted->count = MAX_BUFFERS;
    camera->size = (camera->format.sizeimage + PAGE - 1) / PAGE * PAGE;
    camera->memory = memfd_create("pictures", MFD_CLOEXEC);
    if (camera->memory < 0 || ftruncate(camera->memory, (off_t)camera->size * wanted->count))
        return -ENOMEM;
    camera->mapped = (unsigned char *)syscall(SYS_mmap, NULL, (size_t)camera->size * wanted->count,
                                              PROT_READ | PROT_WRITE, MAP_SHARED, camera->memory, 0);
    camera->count = wanted->count;
    for (unsigned i = 0; i < wanted->count; i++)
        camera->buffers[i] = (struct v4l2_buffer){.index = i,
                                                  .type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
                                                  .memory = V4L2_MEMORY_MMAP,
                                                  .flags = V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC,
                                                  .field = V4L2_FIELD_NONE,
                                                  .length = camera->size,
                                                  .m.offset = i * camera->size};
    return 0;
}

/* What it is and what it offers. */

static int describe(camera_t *camera, struct v4l2_capability *it)
{
    memset(it, 0, sizeof *it);
    copy_word((char *)it->driver, sizeof it->driver, "fake");
    copy_word((char *)it->card, sizeof it->card, camera->now.card);
    copy_word((char *)it->bus_info, sizeof it->bus_info, camera->now.bus);
    it->version = 6 << 16;
    it->device_caps = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING | V4L2_CAP_EXT_PIX_FORMAT;
    it->capabilities = it->device_caps | V4L2_CAP_DEVICE_CAPS;
    return 0;
}

static int offers(camera_t *camera, unsigned index, unsigned *pixelformat)
{
    const char *formats = camera->now.formats;
    if (index >= (strlen(formats) + 1) / 5)
        return 0;
    memcpy(pixelformat, formats + (size_t)index * 5, 4);
    return 1;
}

static int knows(camera_t *camera, unsigned pixelformat)
{
    unsigned offered;
    for (unsigned i = 0; offers(camera, i, &offered); i++)
        if (offered == pixelformat)
            return 1;
    return 0;
}

static int enumerate_format(camera_t *camera, struct v4l2_fmtdesc *it)
{
    if (it->type != V4L2_BUF_TYPE_VIDEO_CAPTURE || !offers(camera, it->index, &it->pixelformat))
        return -EINVAL;
    it->flags = it->pixelformat == V4L2_PIX_FMT_YUYV ? 0 : V4L2_FMT_FLAG_COMPRESSED;
    memcpy(it->description, &it->pixelformat, 4);
    return 0;
}

static int settle_format(camera_t *camera, struct v4l2_format *it)
{
    struct v4l2_pix_format *pix = &it->fmt.pix;
    unsigned wanted = pix->pixelformat;
    if (it->type != V4L2_BUF_TYPE_VIDEO_CAPTURE)
        return -EINVAL;
    memset(pix, 0, sizeof *pix);
    pix->pixelformat = wanted;
    if (!knows(camera, wanted))
        offers(camera, 0, &pix->pixelformat);
    pix->width = camera->now.width;
    pix->height = camera->now.height;
    pix->field = V4L2_FIELD_NONE;
    pix->bytesperline = pix->pixelformat == V4L2_PIX_FMT_YUYV ? pix->width * 2 : 0;
    pix->sizeimage = pix->width * pix->height * 2;
    pix->colorspace = V4L2_COLORSPACE_SRGB;
    return 0;
}

static int set_format(camera_t *camera, struct v4l2_format *it)
{
    int result = camera->now.busy ? -EBUSY : settle_format(camera, it);
    if (result == 0)
        camera->format = it->fmt.pix;
    return result;
}

static int get_format(camera_t *camera, struct v4l2_format *it)
{
    if (it->type != V4L2_BUF_TYPE_VIDEO_CAPTURE)
        return -EINVAL;
    it->fmt.pix = camera->format;
    return settle_format(camera, it);
}

static int rate(camera_t *camera, struct v4l2_streamparm *it)
{
    if (it->type != V4L2_BUF_TYPE_VIDEO_CAPTURE)
        return -EINVAL;
    it->parm.capture.capability = V4L2_CAP_TIMEPERFRAME;
    it->parm.capture.timeperframe = (struct v4l2_fract){1, camera->now.fps};
    return 0;
}

/* Controls. */

typedef struct {
    char path[2 * PATH_MAX];
    int value, minimum, maximum, step, preset;
} control_t;

static int find_control(camera_t *camera, unsigned id, control_t *it)
{
    unsigned char *text;
    int found;
    snprintf(it->path, sizeof it->path, "%s/controls/%s/%08x", getenv("FAKE_V4L2"),
             strrchr(camera->path, '/') + 1, id);
    read_whole(it->path, &text);
    found = text && sscanf((char *)text, "%d %d %d %d %d", &it->value, &it->minimum, &it->maximum,
                           &it->step, &it->preset) == 5;
    free(text);
    return found;
}

static int query_control(camera_t *camera, struct v4l2_queryctrl *it)
{
    control_t control;
    if (it->id & V4L2_CTRL_FLAG_NEXT_CTRL || !find_control(camera, it->id, &control))
        return -EINVAL;
    copy_word((char *)it->name, sizeof it->name, "control");
    it->type = V4L2_CTRL_TYPE_INTEGER;
    it->minimum = control.minimum;
    it->maximum = control.maximum;
    it->step = control.step;
    it->default_value = control.preset;
    it->flags = 0;
    return 0;
}

static int change_control(camera_t *camera, struct v4l2_control *it, int set)
{
    control_t control;
    char text[80];
    int fd, size;
    if (!find_control(camera, it->id, &control))
        return -EINVAL;
    if (!set) {
        it->value = control.value;
        return 0;
    }
    if (it->value < control.minimum || it->value > control.maximum)
        return -ERANGE;
    size = snprintf(text, sizeof text, "%d %d %d %d %d\n", it->value, control.minimum,
                    control.maximum, control.step, control.preset);
    fd = sys_open(control.path, O_WRONLY | O_TRUNC, 0);
    if (fd < 0 || write(fd, text, (size_t)size) != size)
        abort();
    syscall(SYS_close, fd);
    return 0;
}

static int obey(camera_t *camera, unsigned request_code, void *argument)
{
    switch (request_code) {
    case VIDIOC_QUERYCAP:
        return describe(camera, argument);
    case VIDIOC_ENUM_FMT:
        return enumerate_format(camera, argument);
    case VIDIOC_ENUM_FRAMESIZES: {
        struct v4l2_frmsizeenum *it = argument;
        if (it->index || !knows(camera, it->pixel_format))
            return -EINVAL;
        it->type = V4L2_FRMSIZE_TYPE_DISCRETE;
        it->discrete.width = camera->now.width;
        it->discrete.height = camera->now.height;
        return 0;
    }
    case VIDIOC_ENUM_FRAMEINTERVALS: {
        struct v4l2_frmivalenum *it = argument;
        if (it->index || !knows(camera, it->pixel_format))
            return -EINVAL;
        it->type = V4L2_FRMIVAL_TYPE_DISCRETE;
        it->discrete = (struct v4l2_fract){1, camera->now.fps};
        return 0;
    }
    case VIDIOC_G_FMT:
        return get_format(camera, argument);
    case VIDIOC_TRY_FMT:
        return settle_format(camera, argument);
    case VIDIOC_S_FMT:
        return set_format(camera, argument);
    case VIDIOC_G_PARM:
    case VIDIOC_S_PARM:
        return rate(camera, argument);
    case VIDIOC_ENUMINPUT: {
        struct v4l2_input *it = argument;
        if (it->index)
            return -EINVAL;
        it->type = V4L2_INPUT_TYPE_CAMERA;
        return 0;
    }
    case VIDIOC_G_INPUT:
        *(int *)argument = 0;
        return 0;
    case VIDIOC_S_INPUT:
        return *(int *)argument ? -EINVAL : 0;
    case VIDIOC_QUERYCTRL:
        return query_control(camera, argument);
    case VIDIOC_G_CTRL:
        return change_control(camera, argument, 0);
    case VIDIOC_S_CTRL:
        return change_control(camera, argument, 1);
    case VIDIOC_REQBUFS:
        return request(camera, argument);
    case VIDIOC_QUERYBUF: {
        struct v4l2_buffer *it = argument;
        if (it->index >= camera->count)
            return -EINVAL;
        *it = camera->buffers[it->index];
        return 0;
    }
    case VIDIOC_QBUF:
        return queue(camera, argument);
    case VIDIOC_DQBUF:
        return dequeue(camera, argument);
    case VIDIOC_STREAMON:
        return stream_on(camera);
    case VIDIOC_STREAMOFF:
        return stream_off(camera);
    default: /* Among them VIDIOC_EXPBUF and VIDIOC_CROPCAP, which GStreamer does without. */
        return -ENOTTY;
    }
}

int ioctl(int fd, unsigned long code, ...)
{
    camera_t *camera = fd >= 0 && fd < MAX_FDS ? cameras[fd] : NULL;
    va_list rest;
    void *argument;
    int result;
    va_start(rest, code);
    argument = va_arg(rest, void *);
    va_end(rest);
    if (!camera)
        return (int)syscall(SYS_ioctl, fd, code, argument);
    if (code == USBDEVFS_RESET) {
        FILE *device = fopen(camera->path, "a");
        fputs("reset\n", device);
        fclose(device);
        return 0;
    }
    hang_while(camera->path, "ioctl");
    pthread_mutex_lock(&camera->lock);
    if (!camera->dead && !camera->streaming)
        camera->dead = is_gone(camera);
    if (camera->dead && (unsigned)code != VIDIOC_STREAMOFF)
        result = -ENODEV;
    else
        result = obey(camera, (unsigned)code, argument);
    pthread_mutex_unlock(&camera->lock);
    if (result < 0)
        errno = -result;
    return result < 0 ? -1 : result;
}

void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
    camera_t *camera = fd >= 0 && fd < MAX_FDS ? cameras[fd] : NULL;
    return (void *)syscall(SYS_mmap, address, length, protection, flags,
                           camera ? camera->memory : fd, offset);
}

void *mmap64(void *address, size_t length, int protection, int flags, int fd, off64_t offset)
{
    return mmap(address, length, protection, flags, fd, offset);
}

int dup(int fd)
{
    camera_t *camera = fd >= 0 && fd < MAX_FDS ? cameras[fd] : NULL;
    int copy = (int)syscall(SYS_dup, fd);
    if (camera && copy >= MAX_FDS)
        abort();
    if (camera && copy >= 0) {
        pthread_mutex_lock(&camera->lock);
        camera->descriptors++;
        cameras[copy] = camera;
        pthread_mutex_unlock(&camera->lock);
    }
    return copy;
}

static void forget(camera_t *camera)
{
    int last;
    pthread_mutex_lock(&camera->lock);
    last = --camera->descriptors == 0;
    if (last && camera->threaded)
        stream_off(camera);
    if (last)
        release(camera);
    pthread_mutex_unlock(&camera->lock);
    if (last) {
        free(camera->jpeg);
        free(camera);
    }
}

int close(int fd)
{
    if (fd >= 0 && fd < MAX_FDS && cameras[fd]) {
        camera_t *camera = cameras[fd];
        cameras[fd] = NULL;
        forget(camera);
    }
    return (int)syscall(SYS_close, fd);
}
