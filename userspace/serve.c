// SPDX-License-Identifier: GPL-2.0
/*
 * mmapdevctl serve: a path by which programs open an object as a file, for as
 * long as this process, or the command it runs, lives.
 */
#include "ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* As a shell tells it. */
enum { CANNOT_EXECUTE = 126, NOT_FOUND = 127, KILLED = 128 };

struct serve {
	const char *name;
	const char *path;
	bool bind;
	bool read_only;
	char **command;		/* NULL: until a signal comes */
	int file;
	sigset_t signals;	/* what is waited for, blocked from the start */
	sigset_t before;	/* what was blocked before that */
};

/* A signal that the caller has us ignore, as nohup(1) does, stays ignored. */
static void block_signals(struct serve *serve)
{
	static const int ending[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction action;
	size_t i;

	sigemptyset(&serve->signals);
	for (i = 0; i < sizeof(ending) / sizeof(ending[0]); i++) {
		sigaction(ending[i], NULL, &action);
		if (action.sa_handler != SIG_IGN)
			sigaddset(&serve->signals, ending[i]);
	}
	/* An ignored SIGCHLD would lose the command's status. */
	signal(SIGCHLD, SIG_DFL);
	sigaddset(&serve->signals, SIGCHLD);
	/* Nobody there to read that we are ready: an error, not a death. */
	sigaddset(&serve->signals, SIGPIPE);
	sigprocmask(SIG_BLOCK, &serve->signals, &serve->before);
	sigdelset(&serve->signals, SIGPIPE);
}

static int get_file(struct serve *serve)
{
	struct mmapdev_file wanted = {
		.flags = O_CLOEXEC | (serve->read_only ? O_RDONLY : O_RDWR),
	};
	int status;
	int fd;

	status = object_open(serve->name,
			     serve->read_only ? O_RDONLY : O_RDWR, &fd);
	if (status != CTL_OK)
		return status;
	serve->file = ioctl(fd, MMAPDEV_IOC_GET_FILE, &wanted);
	if (serve->file < 0)
		status = errno == ENOTTY ?
			 ctl_error("this version of " MODULE_NAME " has no files") :
			 ctl_error("cannot make a file of '%s': %m", serve->name);
	close(fd);
	return status;
}

static int say_ready(const struct serve *serve)
{
	printf("serving %s at %s\n", serve->name, serve->path);
	/* A terminal, and stdbuf(1), have the line written by printf(). */
	if (fflush(stdout) || ferror(stdout))
		return ctl_error("cannot write the output: %m");
	return CTL_OK;
}

static void execute(const struct serve *serve)
{
	int status;

	sigprocmask(SIG_SETMASK, &serve->before, NULL);
	execvp(serve->command[0], serve->command);
	status = errno == ENOENT ? NOT_FOUND : CANNOT_EXECUTE;
	ctl_error("cannot run %s: %m", serve->command[0]);
	_exit(status);
}

/*
 * Until the command ends, or without one, until a signal comes. Those from a
 * terminal have reached the command, too, if it is in the foreground.
 */
static int wait_for_end(const struct serve *serve, pid_t command)
{
	siginfo_t info;
	int status;

	for (;;) {
		int signo = sigwaitinfo(&serve->signals, &info);

		if (signo == SIGCHLD) {
			if (!command ||
			    waitpid(command, &status, WNOHANG) != command)
				continue;
			return WIFSIGNALED(status) ? KILLED + WTERMSIG(status) :
						     WEXITSTATUS(status);
		}
		if (signo > 0 && !command)
			return CTL_OK;
		if (signo > 0 && info.si_code != SI_KERNEL)
			kill(command, signo);
	}
}

static int run_command(const struct serve *serve)
{
	pid_t pid = fork();

	if (pid < 0)
		return ctl_error("cannot start a process: %m");
	if (!pid)
		execute(serve);
	return wait_for_end(serve, pid);
}

static int serve_file(const struct serve *serve)
{
	int status;

	if (serve->bind)
		status = bind_make(serve->path, serve->name, serve->file,
				   serve->read_only);
	else
		status = link_make(serve->path, serve->file);
	if (status != CTL_OK)
		return status;
	if (serve->command)
		status = run_command(serve);
	else
		status = say_ready(serve);
	if (!serve->command && status == CTL_OK)
		status = wait_for_end(serve, 0);
	if (serve->bind)
		bind_remove(serve->path, serve->file);
	else
		link_remove(serve->path, serve->file);
	return status;
}

/* The words of the command, after "--", are not for getopt to see. */
static int cut_command(struct serve *serve, int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--"))
			break;
	if (i < argc)
		serve->command = argv + i + 1;
	return i;
}

int ctl_serve(int argc, char **argv)
{
	static const struct option options[] = {
		{ "path", required_argument, NULL, 'p' },
		{ "bind", no_argument, NULL, 'b' },
		{ "read-only", no_argument, NULL, 'r' },
		{ }
	};
	struct serve serve = { };
	int status;
	int option;

	argc = cut_command(&serve, argc, argv);
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'p':
			serve.path = optarg;
			break;
		case 'b':
			serve.bind = true;
			break;
		case 'r':
			serve.read_only = true;
			break;
		default:
			return ctl_usage_error("serve has no such option");
		}
	}
	if (argc - optind != 1 || !serve.path)
		return ctl_usage_error("serve takes one NAME, and --path PATH");
	if (serve.command && !serve.command[0])
		return ctl_usage_error("no command after --");
	serve.name = argv[optind];
	block_signals(&serve);
	status = get_file(&serve);
	if (status != CTL_OK)
		return status;
	status = serve_file(&serve);
	close(serve.file);
	return status;
}
