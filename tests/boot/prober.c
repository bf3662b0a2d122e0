// SPDX-License-Identifier: MIT
// prober PAUSE OPERATION:PATH...: tries everything again and again until SIGTERM, then prints one line of counts.
//
// PAUSE is in microseconds between rounds.  Operations, and what counts as a failure of theirs:
//   deny   create a file in the folder: it worked          allow  the same: it did not work
//   hide   read the file: it worked                        read   the same: it did not work, or it was empty
//   stat, list (the folder holds "file"), map, exec: it did not work
// The line: rounds=N, and for each operation with a failure OPERATION:PATH=COUNT/ERRNO of the first.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <stdlib.h>
#include <unistd.h>

static volatile sig_atomic_t stop;

static void on_term(int number) {
    (void)number;
    stop = 1;
}

// 0 or an errno
static int create(const char *folder) {
    static unsigned long number;
    char path[4096];
    snprintf(path, sizeof path, "%s/by-%d-%lu", folder, (int)getpid(), number++);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno;
    int error = write(fd, "x", 1) == 1 ? 0 : errno;
    close(fd);
    if (unlink(path) < 0 && !error)
        error = errno;
    return error;
}

static int read_file(const char *path) {
    char text[64];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    ssize_t got = read(fd, text, sizeof text);
    int error = got > 0 ? 0 : got < 0 ? errno : ENODATA;
    close(fd);
    return error;
}

static int map(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    struct stat info;
    int error = 0;
    if (fstat(fd, &info) < 0)
        error = errno;
    else {
        char *data = mmap(NULL, info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED)
            error = errno;
        else {
            if (!data[0])
                error = ENODATA;
            munmap(data, info.st_size);
        }
    }
    close(fd);
    return error;
}

static int list(const char *path) {
    DIR *folder = opendir(path);
    if (!folder)
        return errno;
    int error = ENOENT;
    struct dirent *entry;
    while ((entry = readdir(folder)))
        if (!strcmp(entry->d_name, "file"))
            error = 0;
    closedir(folder);
    return error;
}

static int run(const char *path) {
    char *argv[] = {(char *)path, "true", NULL}, *environment[] = {NULL};
    pid_t child;
    int status, error = posix_spawn(&child, path, NULL, NULL, argv, environment);
    if (error)
        return error;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return errno;
    return status ? ECHILD : 0;
}

static int attempt(const char *operation, const char *path) {
    struct stat info;
    switch (operation[0]) {
    case 'd': return create(path) ? 0 : EEXIST;
    case 'a': return create(path);
    case 'h': return read_file(path) ? 0 : EEXIST;
    case 'r': return read_file(path);
    case 's': return stat(path, &info) < 0 ? errno : 0;
    case 'l': return list(path);
    case 'm': return map(path);
    case 'e': return run(path);
    }
    return EINVAL;
}

int main(int argc, char **argv) {
    if (argc == 2)
        return 0;  // what `exec` runs
    unsigned long rounds = 0, failures[64] = {0};
    int first[64] = {0};
    signal(SIGTERM, on_term);
    while (!stop) {
        for (int i = 2; i < argc && i < 64; i++) {
            int error = attempt(argv[i], strchr(argv[i], ':') + 1);
            if (error && !failures[i]++)
                first[i] = error;
        }
        rounds++;
        long pause = strtol(argv[1], NULL, 10);
        if (pause)
            usleep(pause);
    }
    char line[8192];
    int length = snprintf(line, sizeof line, "rounds=%lu", rounds);
    for (int i = 2; i < argc && i < 64; i++)
        if (failures[i])
            length += snprintf(line + length, sizeof line - length, " %s=%lu/%s", argv[i], failures[i], strerrorname_np(first[i]));
    snprintf(line + length, sizeof line - length, "\n");
    return write(1, line, strlen(line)) < 0;
}
