// Stands in for the package `server-only`, which throws outside of a server bundle; tests run on the server.
export {}
