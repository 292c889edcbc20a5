/* The streaming kernel without Python: reads a stream as test_sound_arm64.py wrote it and mel frames,
 * and writes the hops. */
#include "../../device/ytm_device/sound/streaming/kernel.c"
#include <stdio.h>
#include <stdlib.h>

static void *take(FILE *file)
{
    int32_t bytes;
    void *data;
    if (fread(&bytes, sizeof bytes, 1, file) != 1 || !(data = malloc((size_t)bytes + 64)) ||
        fread(data, 1, (size_t)bytes, file) != (size_t)bytes)
        exit(1);
    return data;
}

int main(void)
{
    stream_t *stream = take(stdin);
    int32_t *counts = take(stdin), arrays = counts[0], hops = counts[1];
    void **pointers = (void **)&stream->first;
    for (int32_t index = 0; index < arrays; index++)
        pointers[index] = take(stdin);
    float *mel = take(stdin), *out = malloc(sizeof(float) * (size_t)stream->hop);
    for (int32_t hop = 0; hop < hops; hop++) {
        ytm_stream_push(stream, mel + hop * stream->n_mels, out);
        fwrite(out, sizeof(float), (size_t)stream->hop, stdout);
    }
    return 0;
}
