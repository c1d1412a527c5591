/* The kinds of sources that credentials.c's chain is made of. For credentials*.c alone. Layer 1. */
#ifndef WALFERRY_CREDENTIALS_SOURCE_H
#define WALFERRY_CREDENTIALS_SOURCE_H

#include "credentials.h"
#include "http.h"
#include "state.h"

enum found { FOUND, NOT_HERE, FAILED /* logged */ };

/* One search. */
struct search {
    const struct repository_config *config;
    const char *refused; /* the session token, or access key, that the store has called expired; NULL: none */
    bool insists;        /* this kind was asked for by name: NOT_HERE is going to be an error */
    struct state state;
};

/* Each sets source, and the rest by credentials_take. */
typedef enum found credentials_finder(const struct search *search, struct credentials *credentials);
credentials_finder credentials_by_process;      /* the section's credential_process */
credentials_finder credentials_by_web_identity; /* the section's, else the environment's */
credentials_finder credentials_by_profile;      /* credentials_shared.c */
credentials_finder credentials_by_container;
credentials_finder credentials_by_instance;
credentials_finder credentials_by_environment;

/* Takes source over (NULL: out of memory), and copies of the others. */
enum found credentials_take(struct credentials *credentials, char *source, const char *access_key,
                            const char *secret_key, const char *session_token);

/* What of the environment says whose keys are found, for what is remembered. Caller frees; NULL after
 * logging. */
char *credentials_circumstances(void);

/* A set but empty variable counts as not set: NULL. */
const char *credentials_variable(const char *name);

/* credentials_process.c: runs that command. identity: what else it depends on, for what is remembered. */
enum found credentials_run(const struct search *search, const char *command, const char *identity,
                           struct credentials *credentials);

/* credentials_sts.c: a role, and by whom it is assumed: a token in a file, or what source finds. */
struct role {
    const char *arn;
    const char *external_id;  /* NULL: none */
    const char *session_name; /* NULL: the usual one */
    unsigned duration_seconds;
    const char *token_file;
    enum found (*source)(const struct search *search, void *context, struct credentials *credentials);
    void *context;
    const char *identity; /* of the source: what it depends on */
};
enum found credentials_by_role(const struct search *search, const struct role *role,
                               struct credentials *credentials);

/* credentials_container.c: is the URL's host this machine, or an address that does not leave it (ECS, EKS)?
 */
bool credentials_stay_here(const char *url);

/* credentials_cache.c: temporary credentials that are remembered, else fetched by one call at a time and
 * remembered until they expire. identity: what they depend on; may be secret. fetch sets expires, too. */
enum found credentials_remembered(const struct search *search, const char *identity,
                                  enum found (*fetch)(const struct search *search, void *context,
                                                      struct credentials *credentials),
                                  void *context, struct credentials *credentials);

/* credentials_remote.c: one question, without the repository's S3 in it. All borrowed. */
struct question {
    const char *object; /* for messages: where, without anything secret */
    const char *method;
    const char *url;
    const char *headers; /* "name: value\n" each */
    const char *body;    /* NULL: none */
    unsigned seconds;    /* in all */
    unsigned connect_seconds;
    bool is_asked_once;
    const char *ca_file; /* as in struct http_settings */
    bool tls_verify;
    const char *proxy;
};
/* 0: there is an answer, good or bad; 1: none, response tells why; -1 after logging. The caller frees
 * response, which wipes it. */
int credentials_ask(const struct question *question, struct http_response *response);

/* An answer of the container's endpoint or the instance metadata into *credentials. */
enum found credentials_from_answer(const struct http_response *response, const char *object,
                                   struct credentials *credentials);

#endif
