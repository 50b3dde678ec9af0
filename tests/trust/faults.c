/* Stands before the C library (LD_PRELOAD): counts what a process does to files below one folder, and lets it go wrong.
 *
 * Everything that writes passes here, be it written in Python, in C++ or in Rust. Modes:
 *   1 once   the n-th call fails with EIO, all others are done
 *   2 full   from the n-th call on whatever needs room fails with ENOSPC
 *   3 short  the n-th call that writes writes the half of what it should, and whatever needs room fails from then on
 *   4 kill   the process dies by SIGKILL in the n-th call; if that writes, halfway through
 *   5 slow   nothing fails; each call waits up to a millisecond, so that two runs at once meet in many ways
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OFF, ONCE, FULL, SHORT, KILL, SLOW };
enum { NO_ROOM, ROOM, WRITES };
#define HALF (-1)

static char folder[PATH_MAX];
static int mode = OFF, nth, count, fired;
static unsigned seed;

void faults_arm(const char *below, int how, int n) {
    snprintf(folder, sizeof folder, "%s", below);
    count = fired = 0;
    nth = n;
    seed = getpid();
    mode = how;
}
int faults_count(void) { return count; }
int faults_fired(void) { return fired; }

static int is_below(const char *path) { return mode != OFF && path && !strncmp(path, folder, strlen(folder)); }

static int is_file_below(int file) {
    char link[64], path[PATH_MAX];
    if (mode == OFF) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return is_below(path);
}

static int is_entry_below(int place, const char *path) {
    return path && path[0] == '/' ? is_below(path) : place != AT_FDCWD && is_file_below(place);
}

/* 0: the call is done; an error that it ends in; or HALF of it is done. */
static int meet(int needs) {
    if (mode == SLOW) {
        usleep(rand_r(&seed) % 1000);
        return 0;
    }
    if (mode == SHORT && needs != WRITES) return fired && needs != NO_ROOM ? ENOSPC : 0;
    int number = __sync_add_and_fetch(&count, 1);
    if (number < nth) return 0;
    if (mode == FULL) {
        fired |= needs != NO_ROOM;
        return needs != NO_ROOM ? ENOSPC : 0;
    }
    if (number > nth) return mode == SHORT ? ENOSPC : 0;
    fired = 1;
    if (mode == ONCE) return EIO;
    if (mode == KILL && needs != WRITES) kill(getpid(), SIGKILL);
    return HALF;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define FAIL(needs) do { int error = meet(needs); if (error) { errno = error; return -1; } } while (0)

#define WRITER(name, type, parameters, arguments, shorter) \
    type name parameters { \
        if (is_file_below(file)) { \
            int error = meet(WRITES); \
            if (error == HALF) { \
                size /= 2; \
                type written = REAL(name) shorter; \
                if (mode == KILL) kill(getpid(), SIGKILL); \
                return written; \
            } \
            if (error) { errno = error; return -1; } \
        } \
        return REAL(name) arguments; \
    }

WRITER(write, ssize_t, (int file, const void *bytes, size_t size), (file, bytes, size), (file, bytes, size))
WRITER(pwrite, ssize_t, (int file, const void *bytes, size_t size, off_t at), (file, bytes, size, at),
       (file, bytes, size, at))
WRITER(pwrite64, ssize_t, (int file, const void *bytes, size_t size, off64_t at), (file, bytes, size, at),
       (file, bytes, size, at))
WRITER(sendfile, ssize_t, (int file, int from, off_t *at, size_t size), (file, from, at, size), (file, from, at, size))
WRITER(sendfile64, ssize_t, (int file, int from, off64_t *at, size_t size), (file, from, at, size),
       (file, from, at, size))

ssize_t writev(int file, const struct iovec *parts, int size) {
    if (is_file_below(file)) FAIL(ROOM);
    return REAL(writev)(file, parts, size);
}

#define OPENER(name) \
    int name(const char *path, int flags, ...) { \
        va_list rest; \
        va_start(rest, flags); \
        int bits = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, int) : 0; \
        va_end(rest); \
        if (flags & (O_WRONLY | O_RDWR) && is_below(path)) FAIL(ROOM); \
        return REAL(name)(path, flags, bits); \
    }
OPENER(open)
OPENER(open64)

#define OPENER_AT(name) \
    int name(int place, const char *path, int flags, ...) { \
        va_list rest; \
        va_start(rest, flags); \
        int bits = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, int) : 0; \
        va_end(rest); \
        if (flags & (O_WRONLY | O_RDWR) && is_entry_below(place, path)) FAIL(ROOM); \
        return REAL(name)(place, path, flags, bits); \
    }
OPENER_AT(openat)
OPENER_AT(openat64)

int mkdir(const char *path, mode_t bits) {
    if (is_below(path)) FAIL(ROOM);
    return REAL(mkdir)(path, bits);
}
int rename(const char *from, const char *to) {
    if (is_below(to)) FAIL(NO_ROOM);
    return REAL(rename)(from, to);
}
int unlink(const char *path) {
    if (is_below(path)) FAIL(NO_ROOM);
    return REAL(unlink)(path);
}
int unlinkat(int place, const char *path, int flags) {
    if (is_entry_below(place, path)) FAIL(NO_ROOM);
    return REAL(unlinkat)(place, path, flags);
}
int rmdir(const char *path) {
    if (is_below(path)) FAIL(NO_ROOM);
    return REAL(rmdir)(path);
}
int fsync(int file) {
    if (is_file_below(file)) FAIL(NO_ROOM);
    return REAL(fsync)(file);
}
int fdatasync(int file) {
    if (is_file_below(file)) FAIL(NO_ROOM);
    return REAL(fdatasync)(file);
}
int ftruncate(int file, off_t size) {
    if (is_file_below(file)) FAIL(NO_ROOM);
    return REAL(ftruncate)(file, size);
}
int ftruncate64(int file, off64_t size) {
    if (is_file_below(file)) FAIL(NO_ROOM);
    return REAL(ftruncate64)(file, size);
}
