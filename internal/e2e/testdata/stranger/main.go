// Stranger tries every socket that it is given, as whoever runs it, and prints
// what it got: one JSON object, address to answer.
package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

func main() {
	out := map[string]string{}
	for _, a := range os.Args[1:] {
		if strings.HasPrefix(a, "/") {
			out[a] = try("unix", a, "http://quell/v1/runs")
			continue
		}
		plain := try("tcp", a, "http://"+a+"/v1/runs")
		secure := handshake(a)
		out[a] = plain + "; " + secure
	}
	_ = json.NewEncoder(os.Stdout).Encode(out)
}

// try asks over plain HTTP.
func try(network, address, url string) string {
	c := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, address)
		},
	}}
	res, err := c.Get(url)
	if err != nil {
		return "refused: " + err.Error()
	}
	_ = res.Body.Close()
	return fmt.Sprint("http ", res.StatusCode)
}

// handshake tries TLS without a certificate of its own and reads a byte.
func handshake(address string) string {
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		return "tls refused: " + err.Error()
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := conn.Write([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")); err != nil {
		return "tls refused: " + err.Error()
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		return "tls refused: " + err.Error()
	}
	return "tls OPEN"
}
