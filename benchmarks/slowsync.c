/* LD_PRELOAD: counts fsync and fdatasync in the file SYNC_COUNT (eight bytes, shared by all processes), and makes each of them
 * last SYNC_MICROS longer, as a slower disk would. Built by benchmarks/slowsync.py. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static uint64_t *count;
static long micros;

__attribute__((constructor)) static void begin(void)
{
    const char *file = getenv("SYNC_COUNT"), *late = getenv("SYNC_MICROS");
    real_fsync = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    micros = late ? atol(late) : 0;
    int descriptor = file ? open(file, O_RDWR | O_CLOEXEC) : -1;
    if (descriptor >= 0) {
        void *at = mmap(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
        count = at == MAP_FAILED ? NULL : at;
        close(descriptor);
    }
}

static int slowly(int (*sync)(int), int descriptor)
{
    struct timespec rest = {micros / 1000000, micros % 1000000 * 1000};
    int result = sync(descriptor);
    if (count)
        __atomic_add_fetch(count, 1, __ATOMIC_RELAXED);
    if (micros)
        clock_nanosleep(CLOCK_MONOTONIC, 0, &rest, NULL);
    return result;
}

int fsync(int descriptor) { return slowly(real_fsync, descriptor); }
int fdatasync(int descriptor) { return slowly(real_fdatasync, descriptor); }
