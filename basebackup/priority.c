#include "priority.h"

#include "common/log.h"

#include <linux/ioprio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOW_NICE 10
#define IDLE_NICE 19
#define LOW_IO_LEVEL 7 /* the last of the best-effort class */

/* One that was started with less keeps it. */
static void set_cpu(int nice_value)
{
    if (getpriority(PRIO_PROCESS, 0) < nice_value && setpriority(PRIO_PROCESS, 0, nice_value) != 0)
        log_warning("could not lower the priority of this process: %m");
}

static void set_io(int priority)
{
    long before = syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0);

    if (before >= 0 && IOPRIO_PRIO_CLASS(before) == IOPRIO_CLASS_IDLE)
        return;
    if (syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, priority) != 0)
        log_warning("could not lower the priority of this process for input and output: %m");
}

void priority_set(enum config_priority priority)
{
    if (priority == PRIORITY_NORMAL)
        return;
    set_cpu(priority == PRIORITY_IDLE ? IDLE_NICE : LOW_NICE);
    set_io(priority == PRIORITY_IDLE ? IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0)
                                     : IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, LOW_IO_LEVEL));
}
