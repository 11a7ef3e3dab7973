// A proxy as one writes it with Go's standard library.
//
//	reverse_proxy PORT REPLICA…
package main

import (
	"log"
	"net/http"
	"net/http/httputil"
	"os"
	"sync/atomic"
)

func main() {
	replicas := os.Args[2:]
	var turn atomic.Uint64
	proxy := &httputil.ReverseProxy{
		Rewrite: func(asked *httputil.ProxyRequest) {
			at := turn.Add(1) % uint64(len(replicas))
			asked.Out.URL.Scheme = "http"
			asked.Out.URL.Host = "127.0.0.1:" + replicas[at]
			asked.SetXForwarded()
		},
		Transport: &http.Transport{
			MaxIdleConnsPerHost: 1024, // Two by default: it would dial all the time.
			DisableCompression:  true,
		},
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[1], proxy))
}
