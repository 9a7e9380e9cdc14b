package api

import (
	"bytes"
	"compress/gzip"
	"embed"
	"io"
	"net/http"
	"path"
	"strings"

	"github.com/foodflow/foodflow/internal/fault"
)

// assets are the documentation pages' scripts, compressed; see assets/README.md.
//
//go:embed assets/*.gz
var assets embed.FS

const swaggerPage = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>FoodFlow API</title><meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/api/assets/swagger-ui.css"></head>
<body><div id="ui"></div><script src="/api/assets/swagger-ui-bundle.js"></script><script src="/api/assets/init.js"></script></body></html>
`

// swaggerInit stands in a file of its own because the pages allow no inline
// script.
const swaggerInit = `SwaggerUIBundle({ url: "/api/openapi.json", dom_id: "#ui", deepLinking: true, persistAuthorization: false, validatorUrl: null });
`

const redocPage = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>FoodFlow API</title><meta name="viewport" content="width=device-width, initial-scale=1"></head>
<body><redoc spec-url="/api/openapi.json"></redoc><script src="/api/assets/redoc.standalone.js"></script></body></html>
`

// docsPolicy lets the pages load their own files and nothing else; both
// libraries write style elements, and ReDoc searches in a worker made of a blob.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; connect-src 'self'; worker-src blob:; base-uri 'none'; frame-ancestors 'none'"

// docRoutes serves the documentation pages. They are for people and not part of
// the document.
func (s *Server) docRoutes() {
	page := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Header().Set("Content-Security-Policy", docsPolicy)
			_, _ = io.WriteString(w, text) // an error means that the client is gone
		}
	}
	s.router.Get(fault.TypePath+"{name}", fault.ServePage)
	s.router.Get("/api/docs", page(swaggerPage))
	s.router.Get("/api/redoc", page(redocPage))
	s.router.Get("/api/assets/init.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
		_, _ = io.WriteString(w, swaggerInit)
	})
	s.router.Get("/api/assets/{name}", serveAsset)
}

func serveAsset(w http.ResponseWriter, r *http.Request) {
	name := path.Base(r.URL.Path)
	b, err := assets.ReadFile("assets/" + name + ".gz")
	if err != nil {
		fault.Problem(w, fault.New(fault.NotFound, "there is no such file"))
		return
	}
	h := w.Header()
	h.Set("Content-Type", map[string]string{".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}[path.Ext(name)])
	h.Set("Cache-Control", "public, max-age=3600")
	h.Set("Vary", "Accept-Encoding")
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		_, _ = w.Write(b)
		return
	}
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		fault.Problem(w, err)
		return
	}
	_, _ = io.Copy(w, z) //nolint:gosec // our own file, embedded: its size is known
}
