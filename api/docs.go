package api

func (s *Server) docRoutes() {}
