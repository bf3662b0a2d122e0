/* hello-daemon: keeps /run/hello-daemon/said at "hello-daemon VERSION: GREETING", and serves no other purpose.
 * The greeting comes from /etc/hello-daemon.conf (greeting=...), read at the start and on SIGHUP.
 * SPDX-License-Identifier: MIT */
#include <signal.h>
#include <stdio.h>
#include <string.h>

static void say(void) {
        char line[256], greeting[256] = "no configuration";
        FILE *file = fopen("/etc/hello-daemon.conf", "re");

        while (file && fgets(line, sizeof line, file))
                if (strncmp(line, "greeting=", 9) == 0)
                        snprintf(greeting, sizeof greeting, "%.*s", (int) strcspn(line + 9, "\n"), line + 9);
        if (file)
                fclose(file);
        printf("hello-daemon %s: %s\n", VERSION, greeting);
        fflush(stdout);
        file = fopen("/run/hello-daemon/said", "we");
        if (file) {
                fprintf(file, "hello-daemon %s: %s\n", VERSION, greeting);
                fclose(file);
        }
}

int main(void) {
        sigset_t signals;
        int number;

        sigemptyset(&signals);
        sigaddset(&signals, SIGHUP);
        sigaddset(&signals, SIGTERM);
        sigprocmask(SIG_BLOCK, &signals, NULL);
        do
                say();
        while (sigwait(&signals, &number) == 0 && number == SIGHUP);
        return 0;
}
