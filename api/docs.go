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

// swaggerPage and redocPage are all there is to the two pages beside the
// libraries' own files.
const (
	swaggerPage = pageHead + `<title>Try the FoodFlow API</title><link rel="stylesheet" href="/api/assets/swagger-ui.css"></head>
<body><div id="ui"></div>` + pageNoScript + `<script src="/api/assets/swagger-ui-bundle.js"></script><script src="/api/assets/init.js"></script></body></html>
`
	redocPage = pageHead + `<title>FoodFlow API reference</title></head>
<body><redoc spec-url="/api/openapi.json"></redoc>` + pageNoScript + `<script src="/api/assets/redoc.standalone.js"></script></body></html>
`
	pageHead = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="/api/assets/icon.svg" type="image/svg+xml"><style>body { margin: 0 } :focus-visible { outline: 2px solid #166534 !important }</style>
`
	pageNoScript = `<noscript>This page needs JavaScript. The document it shows is at <a href="/api/openapi.json">/api/openapi.json</a>.</noscript>`
)

// swaggerInit stands in a file of its own because the pages allow no inline
// script.
const swaggerInit = `SwaggerUIBundle({ url: "/api/openapi.json", dom_id: "#ui", deepLinking: true, persistAuthorization: false, validatorUrl: null });
`

// icon is what a browser shows in the tab: a curve that rises out of a bowl.
const icon = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#14532d"/><path d="M6 18h20a10 9 0 0 1-20 0z" fill="#fff"/><path d="M7 14l5-4 4 3 8-8" fill="none" stroke="#86efac" stroke-width="2.5" stroke-linecap="round" stroke-linejoin="round"/></svg>
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
	file := func(kind, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.Header().Set("Cache-Control", "public, max-age=3600")
			_, _ = io.WriteString(w, text)
		}
	}
	s.router.Get(fault.TypePath+"{name}", fault.ServePage)
	s.router.Get("/api/docs", page(swaggerPage))
	s.router.Get("/api/redoc", page(redocPage))
	s.router.Get("/api/assets/init.js", file("text/javascript; charset=utf-8", swaggerInit))
	s.router.Get("/api/assets/icon.svg", file("image/svg+xml", icon))
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
