package store

import "github.com/jackc/pgx/v5/pgconn"

// Hosts lists the hosts that a PostgreSQL connection string names, in its order;
// a directory of unix sockets is none. It opens no connection.
func Hosts(dsn string) ([]string, error) {
	c, err := pgconn.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	var out []string
	add := func(host string) {
		if host != "" && host[0] != '/' {
			out = append(out, host)
		}
	}
	add(c.Host)
	for _, f := range c.Fallbacks {
		add(f.Host)
	}
	return out, nil
}
